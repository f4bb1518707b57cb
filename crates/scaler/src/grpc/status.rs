//! What a call came to, as an error of triggers.

use std::error::Error as _;

use tonic::{Code, Status};

use crate::{Error, Kind};

/// How much of a server's own words is shown.
const LONGEST: usize = 256;

/// The error of a call that failed, in the words of grpc-go, which users search for.
pub(super) fn error(what: &str, status: &Status) -> Error {
    let kind = match status.code() {
        Code::Unavailable | Code::Cancelled | Code::Aborted => Kind::Unreachable,
        // Of the client's making where the connection broke under the call.
        Code::Unknown if status.source().is_some() => Kind::Unreachable,
        Code::DeadlineExceeded => Kind::Timeout,
        Code::OutOfRange | Code::DataLoss => Kind::Answer,
        Code::Unauthenticated => Kind::Source(401),
        Code::PermissionDenied => Kind::Source(403),
        Code::NotFound => Kind::Source(404),
        Code::InvalidArgument | Code::FailedPrecondition | Code::AlreadyExists => Kind::Source(400),
        Code::ResourceExhausted => Kind::Source(429),
        Code::Unimplemented => Kind::Source(501),
        Code::Ok | Code::Unknown | Code::Internal => Kind::Source(500),
    };
    let name = match status.code() {
        Code::Cancelled => "Canceled".to_owned(),
        code => format!("{code:?}"),
    };
    let mut words = status.message().to_owned();
    // tonic says little by itself: the cause is in the chain.
    let mut cause = status.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !words.contains(&text) {
            words = if words.is_empty() { text } else { format!("{words}: {text}") };
        }
        cause = error.source();
    }
    Error::new(kind, format!("{what}: rpc error: code = {name} desc = {}", shown(&words)))
}

/// One line of bounded length.
fn shown(words: &str) -> String {
    let line: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect();
    if words.chars().nth(LONGEST).is_some() { format!("{line}…") } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_go_s_and_bounded() {
        let text = |status: Status| error("GetMetrics at scaler:9090", &status).message;
        assert_eq!(
            text(Status::not_found("no queue \"x\"")),
            "GetMetrics at scaler:9090: rpc error: code = NotFound desc = no queue \"x\""
        );
        assert!(text(Status::cancelled("x")).contains("code = Canceled desc = x"));
        let long = text(Status::internal("y\n".repeat(1000)));
        assert!(long.len() < 350 && !long.contains('\n') && long.ends_with('…'), "{long}");
    }

    #[test]
    fn codes_have_kinds() {
        for (code, kind, temporary) in [
            (Code::Unavailable, Kind::Unreachable, true),
            (Code::DeadlineExceeded, Kind::Timeout, true),
            (Code::Unauthenticated, Kind::Source(401), false),
            (Code::PermissionDenied, Kind::Source(403), false),
            (Code::ResourceExhausted, Kind::Source(429), true),
            (Code::Unknown, Kind::Source(500), true),
            (Code::Unimplemented, Kind::Source(501), true),
        ] {
            let error = error("x", &Status::new(code, "y"));
            assert_eq!((error.kind, error.temporary()), (kind, temporary), "{code:?}");
        }
    }
}
