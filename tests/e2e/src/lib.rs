//! What the end-to-end tests share: one interface to both runtimes, so that a test is written once and runs on every
//! pair of them.

#![forbid(unsafe_code)]

mod runtime;
mod serving;

pub use runtime::{Runtime, Smol, Tokio, within};
pub use serving::Serving;

/// The time limit of a test: far more than it needs.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// Runs each test, a function generic over the server's and the client's runtime, on every pair of runtimes.
#[macro_export]
macro_rules! on_every_pair {
    ($($(#[$attribute:meta])* $name:ident)+) => {
        $crate::on_every_pair!(@pair tokio_with_tokio Tokio Tokio { $($(#[$attribute])* $name)+ });
        $crate::on_every_pair!(@pair smol_with_smol Smol Smol { $($(#[$attribute])* $name)+ });
        $crate::on_every_pair!(@pair tokio_server_smol_client Tokio Smol { $($(#[$attribute])* $name)+ });
        $crate::on_every_pair!(@pair smol_server_tokio_client Smol Tokio { $($(#[$attribute])* $name)+ });
    };
    (@pair $pair:ident $server:ident $client:ident { $($(#[$attribute:meta])* $name:ident)+ }) => {
        mod $pair {
            $(
                $(#[$attribute])*
                #[test]
                fn $name() {
                    super::$name::<$crate::$server, $crate::$client>();
                }
            )+
        }
    };
}

/// Runs each test, a function generic over one runtime, on both.
#[macro_export]
macro_rules! on_both {
    ($($name:ident)+) => {
        mod tokio_runtime {
            $(#[test] fn $name() { super::$name::<$crate::Tokio>(); })+
        }
        mod smol_runtime {
            $(#[test] fn $name() { super::$name::<$crate::Smol>(); })+
        }
    };
}
