//! The `:path` of a call ([P-4](crate::manual::rules#p-4)): `/service/method`, case-sensitive.

/// Splits a path into service and method at its last `/`. Returns `None` for a path of any other form, which a server
/// answers with `UNIMPLEMENTED`.
///
/// The path has to begin with `/`, and neither part may be empty.
///
/// ```
/// use halfclose::grpc::path;
///
/// assert_eq!(path::split("/pkg.Greeter/SayHello"), Some(("pkg.Greeter", "SayHello")));
/// assert_eq!(path::split("pkg.Greeter/SayHello"), None);
/// ```
#[must_use]
pub fn split(path: &str) -> Option<(&str, &str)> {
    let (service, method) = path.strip_prefix('/')?.rsplit_once('/')?;
    (!service.is_empty() && !method.is_empty()).then_some((service, method))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let table = [
            ("/s/m", Some(("s", "m"))),
            ("/a.b.S/M", Some(("a.b.S", "M"))),
            ("/prefix/a.S/M", Some(("prefix/a.S", "M"))),
            ("", None),
            ("/", None),
            ("//", None),
            ("/s", None),
            ("/s/", None),
            ("//m", None),
            ("s/m", None),
            ("*", None),
        ];
        for (path, parts) in table {
            assert_eq!(split(path), parts, "{path}");
        }
    }
}
