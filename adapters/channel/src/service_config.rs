//! A service's settings for its clients, as JSON (gRPC's service_config document, A2, A6, A21).

use std::time::Duration;

use halfclose::Code;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::retry::{RetryPolicy, Throttling};

/// The connections that a channel makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Policy {
    /// One connection, to the first address that answers.
    PickFirst {
        /// Whether the addresses are tried in random order (A62).
        shuffle: bool,
    },
    /// One connection to each address, used in turn.
    RoundRobin,
}

impl Default for Policy {
    fn default() -> Self {
        Self::PickFirst { shuffle: false }
    }
}

/// The settings of some methods.
#[derive(Clone, Default, PartialEq, Debug)]
#[non_exhaustive]
pub struct MethodConfig {
    /// The longest time that a call may take, whatever its caller sets.
    pub timeout: Option<Duration>,
    /// Whether calls wait for a connection if their caller does not say.
    pub wait_for_ready: Option<bool>,
    /// The policy by which failed calls are retried.
    pub retry: Option<RetryPolicy>,
    /// The largest message that may be sent, in bytes.
    pub max_request: Option<u64>,
    /// The largest message that may be received, in bytes.
    pub max_response: Option<u64>,
}

/// A service's settings.
#[derive(Clone, Default, PartialEq, Debug)]
#[non_exhaustive]
pub struct ServiceConfig {
    /// The connections that a channel makes, if the config says so.
    pub policy: Option<Policy>,
    /// The throttling of retries.
    pub throttling: Option<Throttling>,
    /// The settings by service and method; an empty method means all of the service's, an empty service means all.
    methods: Vec<(String, String, MethodConfig)>,
}

/// The reason why JSON is no valid service config. The previous one stays in use (A21).
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("service config: {0}")]
pub struct BadServiceConfig(String);

type Parsed<T> = Result<T, BadServiceConfig>;

fn bad<T>(why: impl Into<String>) -> Parsed<T> {
    Err(BadServiceConfig(why.into()))
}

impl ServiceConfig {
    /// Parses JSON. Unknown fields are ignored; known ones must be valid, or the whole config is refused.
    ///
    /// # Errors
    ///
    /// [`BadServiceConfig`], which names the invalid field.
    pub fn parse(text: &str) -> Parsed<Self> {
        let value: Value = serde_json::from_str(text).map_err(|error| BadServiceConfig(error.to_string()))?;
        let Value::Object(fields) = value else { return bad("not a JSON object") };
        let mut config =
            Self { policy: policy(&fields)?, throttling: throttling(&fields)?, methods: Vec::new() };
        for method in array(&fields, "methodConfig")? {
            let Value::Object(method) = method else { return bad("methodConfig: not an object") };
            let settings = method_config(method)?;
            for name in array(method, "name")? {
                let Value::Object(name) = name else { return bad("name: not an object") };
                let (service, method) = (text_of(name, "service")?, text_of(name, "method")?);
                if service.is_empty() && !method.is_empty() {
                    return bad(format!("name: method {method} without a service"));
                }
                if config.methods.iter().any(|known| known.0 == service && known.1 == method) {
                    return bad(format!("name: {service}/{method} twice"));
                }
                config.methods.push((service, method, settings.clone()));
            }
        }
        Ok(config)
    }

    /// Returns the settings of the method at `path`, `/package.Service/Method`: its own, its service's, or those of
    /// all.
    #[must_use]
    pub fn method(&self, path: &str) -> Option<&MethodConfig> {
        let (service, method) = path.strip_prefix('/').unwrap_or(path).rsplit_once('/').unwrap_or((path, ""));
        let find = |service: &str, method: &str| {
            self.methods.iter().find(|known| known.0 == service && known.1 == method).map(|known| &known.2)
        };
        find(service, method).or_else(|| find(service, "")).or_else(|| find("", ""))
    }
}

fn array<'a>(fields: &'a Map<String, Value>, name: &str) -> Parsed<&'a [Value]> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(values)) => Ok(values),
        Some(_) => bad(format!("{name}: not an array")),
    }
}

fn text_of(fields: &Map<String, Value>, name: &str) -> Parsed<String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => bad(format!("{name}: not a string")),
    }
}

/// Parses the first known policy (A2); a list without any is invalid.
fn policy(fields: &Map<String, Value>) -> Parsed<Option<Policy>> {
    let list = array(fields, "loadBalancingConfig")?;
    for one in list {
        let Value::Object(one) = one else { return bad("loadBalancingConfig: not an object") };
        if one.len() != 1 {
            return bad("loadBalancingConfig: a policy must be an object with one field");
        }
        if let Some(settings) = one.get("pick_first") {
            let shuffle = match settings.get("shuffleAddressList") {
                None => false,
                Some(Value::Bool(shuffle)) => *shuffle,
                Some(_) => return bad("shuffleAddressList: neither true nor false"),
            };
            return Ok(Some(Policy::PickFirst { shuffle }));
        }
        if one.contains_key("round_robin") {
            return Ok(Some(Policy::RoundRobin));
        }
    }
    if list.is_empty() { Ok(None) } else { bad("loadBalancingConfig: no policy in it is known") }
}

fn throttling(fields: &Map<String, Value>) -> Parsed<Option<Throttling>> {
    let Some(Value::Object(rule)) = fields.get("retryThrottling") else { return Ok(None) };
    let thousandths = |name: &str, most: f64| match rule.get(name).and_then(Value::as_f64) {
        // A6: up to three decimal places, and greater than 0.
        Some(number) if number > 0.0 && number <= most => Ok((number * 1000.0).floor()),
        _ => bad(format!("{name}: not a number over 0 and up to {most}")),
    };
    let (max, ratio) = (thousandths("maxTokens", 1000.0)?, thousandths("tokenRatio", 1000.0)?);
    Ok(Some(Throttling { max_tokens: whole(max), token_ratio: whole(ratio) }))
}

/// Returns a number that is known to be small and whole.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to a million")]
fn whole(number: f64) -> u32 {
    number.clamp(0.0, 1_000_000.0) as u32
}

fn method_config(fields: &Map<String, Value>) -> Parsed<MethodConfig> {
    let wait_for_ready = match fields.get("waitForReady") {
        None | Some(Value::Null) => None,
        Some(Value::Bool(wait)) => Some(*wait),
        Some(_) => return bad("waitForReady: neither true nor false"),
    };
    let bytes = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        // Large numbers are strings in the JSON of protobuf.
        Some(Value::String(text)) => {
            text.parse().map(Some).or_else(|_| bad(format!("{name}: not a number of bytes")))
        }
        Some(number) => {
            number.as_u64().map_or_else(|| bad(format!("{name}: not a number of bytes")), |it| Ok(Some(it)))
        }
    };
    Ok(MethodConfig {
        timeout: duration(fields, "timeout")?,
        wait_for_ready,
        retry: retry_policy(fields)?,
        max_request: bytes("maxRequestMessageBytes")?,
        max_response: bytes("maxResponseMessageBytes")?,
    })
}

fn retry_policy(fields: &Map<String, Value>) -> Parsed<Option<RetryPolicy>> {
    let Some(rule) = fields.get("retryPolicy") else { return Ok(None) };
    let Value::Object(rule) = rule else { return bad("retryPolicy: not an object") };
    let positive = |name: &str| match duration(rule, name)? {
        Some(time) if !time.is_zero() => Ok(time),
        _ => bad(format!("{name}: must be over 0")),
    };
    let attempts = rule.get("maxAttempts").and_then(Value::as_u64).filter(|attempts| *attempts >= 2);
    let Some(attempts) = attempts else { return bad("maxAttempts: must be a whole number over 1") };
    let multiplier = rule.get("backoffMultiplier").and_then(Value::as_f64).filter(|number| *number > 0.0);
    let Some(backoff_multiplier) = multiplier else {
        return bad("backoffMultiplier: must be a number over 0");
    };
    let retryable = array(rule, "retryableStatusCodes")?.iter().map(code).collect::<Parsed<Vec<_>>>()?;
    if retryable.is_empty() {
        return bad("retryableStatusCodes: must name a code");
    }
    Ok(Some(RetryPolicy {
        max_attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        initial_backoff: positive("initialBackoff")?,
        max_backoff: positive("maxBackoff")?,
        backoff_multiplier,
        retryable,
    }))
}

/// Parses a code by its name, in any case, or its number.
fn code(value: &Value) -> Parsed<Code> {
    let found = match value {
        Value::String(name) => {
            (0..=16).map(Code::from_u32).find(|code| code.name().eq_ignore_ascii_case(name))
        }
        other => {
            let number = other.as_u64().and_then(|number| u32::try_from(number).ok());
            number.filter(|number| *number <= 16).map(Code::from_u32)
        }
    };
    found.map_or_else(|| bad(format!("{value} is no status code")), Ok)
}

/// Parses `"1.5s"`.
fn duration(fields: &Map<String, Value>, name: &str) -> Parsed<Option<Duration>> {
    let text = match fields.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text,
        Some(_) => return bad(format!("{name}: not a duration such as \"1.5s\"")),
    };
    let number = text.strip_suffix('s').unwrap_or_default();
    let (seconds, rest) = number.split_once('.').unwrap_or((number, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = seconds.parse::<u64>().ok().filter(|_| digits(seconds) && digits(rest) && rest.len() <= 9);
    // The range of protobuf's Duration.
    match (parsed.filter(|seconds| *seconds <= 315_576_000_000), format!("{rest:0<9}").parse()) {
        (Some(seconds), Ok(nanos)) => Ok(Some(Duration::new(seconds, nanos))),
        _ => bad(format!("{name}: {text:?} is no duration such as \"1.5s\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_with_everything() {
        let config = ServiceConfig::parse(
            r#"{"loadBalancingConfig": [{"grpclb": {}}, {"round_robin": {}}],
                "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1239},
                "methodConfig": [
                  {"name": [{"service": "a.B", "method": "C"}], "timeout": "1.5s", "waitForReady": true,
                   "maxRequestMessageBytes": 5, "maxResponseMessageBytes": "6",
                   "retryPolicy": {"maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "1s",
                     "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE", 8, "aborted"]}},
                  {"name": [{"service": "a.B"}], "timeout": "2s"},
                  {"name": [{}], "timeout": "3s"}]}"#,
        )
        .expect("a config");
        assert_eq!(config.policy, Some(Policy::RoundRobin));
        assert_eq!(config.throttling, Some(Throttling { max_tokens: 10_000, token_ratio: 123 }));
        let own = config.method("/a.B/C").expect("its own");
        assert_eq!(own.timeout, Some(Duration::from_millis(1500)));
        assert_eq!((own.wait_for_ready, own.max_request, own.max_response), (Some(true), Some(5), Some(6)));
        let retry = own.retry.as_ref().expect("a policy");
        assert_eq!(retry.retryable, [Code::Unavailable, Code::ResourceExhausted, Code::Aborted]);
        assert_eq!(retry.initial_backoff, Duration::from_millis(100));
        for (path, seconds) in [("/a.B/D", 2), ("/a.C/C", 3)] {
            let timeout = config.method(path).expect("a default").timeout;
            assert_eq!(timeout, Some(Duration::from_secs(seconds)), "{path}");
        }
    }

    #[test]
    fn a21_a_config_that_is_wrong_is_refused_as_a_whole() {
        let policy = |change: &str| {
            let fields = r#""maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"]"#;
            format!(r#"{{"methodConfig": [{{"name": [{{}}], "retryPolicy": {{{fields}, {change}}}}}]}}"#)
        };
        for wrong in [
            "",
            "[]",
            "{",
            r#"{"methodConfig": {}}"#,
            r#"{"methodConfig": [{"name": [{"method": "a"}]}]}"#,
            r#"{"methodConfig": [{"name": [{}, {}]}]}"#,
            r#"{"loadBalancingConfig": [{"grpclb": {}}]}"#,
            r#"{"loadBalancingConfig": [{"a": {}, "b": {}}]}"#,
            r#"{"methodConfig": [{"timeout": 1}]}"#,
            r#"{"methodConfig": [{"timeout": "1"}]}"#,
            r#"{"methodConfig": [{"timeout": "-1s"}]}"#,
            r#"{"methodConfig": [{"timeout": "1.0000000001s"}]}"#,
            r#"{"methodConfig": [{"timeout": "s"}]}"#,
            r#"{"retryThrottling": {"maxTokens": 0, "tokenRatio": 1}}"#,
            r#"{"retryThrottling": {"maxTokens": 1001, "tokenRatio": 1}}"#,
            r#"{"retryThrottling": {"maxTokens": 10, "tokenRatio": 0}}"#,
        ] {
            assert!(ServiceConfig::parse(wrong).is_err(), "{wrong}");
        }
        assert!(ServiceConfig::parse(&policy(r#""unknown": 1"#)).is_ok());
        for change in [
            r#""maxAttempts": 1"#,
            r#""maxAttempts": "2""#,
            r#""initialBackoff": "0s""#,
            r#""maxBackoff": "0s""#,
            r#""backoffMultiplier": 0"#,
            r#""retryableStatusCodes": []"#,
            r#""retryableStatusCodes": ["NO"]"#,
            r#""retryableStatusCodes": [17]"#,
        ] {
            // The last of two fields of one name counts.
            assert!(ServiceConfig::parse(&policy(change)).is_err(), "{change}");
        }
    }
}
