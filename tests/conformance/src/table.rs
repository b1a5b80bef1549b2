//! Tables of cases, and a test of each row on each transport.

/// A table of [`Case`](crate::Case)s, as a module of its own, with the tests of each row on each side that the rows are
/// for (`server`, `client`) and on each transport. A row is
///
/// ```text
/// rfc9113_6_7_a_short_ping "PING of seven bytes" Settings frame(PING, 0, 0, &[0; 7]) => Connection(SIZE);
/// ```
///
/// its name, which begins with the rule, what is sent in words, where the connection stands, what is sent, and what must
/// come of it. `@(|config| …)` before the bytes changes the configuration of the connection under test.
#[macro_export]
macro_rules! cases {
    ($(#[$doc:meta])* $table:ident of $sides:tt { $(
        $name:ident $text:literal $before:ident $(@($configure:expr))? $bytes:expr => $expect:expr;
    )+ }) => {
        $(#[$doc])*
        pub(crate) mod $table {
            use super::*;

            $(
                fn $name() -> $crate::Case {
                    $crate::Case {
                        name: stringify!($name),
                        text: $text,
                        before: $crate::Before::$before,
                        configure: $crate::cases!(@configure $($configure)?),
                        bytes: || $bytes,
                        expect: $expect,
                    }
                }
            )+

            /// Every row.
            pub(crate) const ROWS: &[fn() -> $crate::Case] = &[ $($name),+ ];

            $crate::cases!(@sides $sides { $($name)+ });
        }
    };
    (@configure) => { |_| () };
    (@configure $configure:expr) => { $configure };
    (@sides [ $($side:ident)+ ] $names:tt) => {
        $( $crate::cases!(@side $side $names); )+
    };
    (@side server $names:tt) => {
        mod server { $crate::cases!(@transports on_server $names); }
    };
    (@side client $names:tt) => {
        mod client { $crate::cases!(@transports on_client $names); }
    };
    (@transports $side:ident $names:tt) => {
        $crate::cases!(@transport memory [$crate::memory::InMemory] $side $names);
        $crate::cases!(@transport tokio [$crate::tcp::Tcp<halfclose_e2e::Tokio>] $side $names);
        $crate::cases!(@transport smol [$crate::tcp::Tcp<halfclose_e2e::Smol>] $side $names);
    };
    (@transport $module:ident [$transport:ty] $side:ident { $($name:ident)+ }) => {
        mod $module {
            $(
                #[test]
                fn $name() {
                    super::super::$name().$side::<$transport>();
                }
            )+
        }
    };
}

/// Returns the rule that a test's name begins with: `rfc9113_6_5_2_…` is `RFC 9113 §6.5.2`, `p70_p71_…` is `P-70,
/// P-71`, and `grpc_errors_…` the table of error codes in gRPC's document on HTTP/2.
#[must_use]
pub fn rule(name: &str) -> String {
    let number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((document, rest)) = name.strip_prefix("rfc").and_then(|name| name.split_once('_')) {
        let section: Vec<&str> = rest.split('_').take_while(number).collect();
        return format!("RFC {document} §{}", section.join("."));
    }
    let numbers = name.split('_').map_while(|part| part.strip_prefix('p')).take_while(number);
    let rules: Vec<String> = numbers.map(|number| format!("P-{number}")).collect();
    if rules.is_empty() { "gRPC, Errors".to_owned() } else { rules.join(", ") }
}
