//! Command lines: an error is reported in one line.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

/// Parses the command line. The error is the exit status of a program that has nothing more to do: it was asked for
/// help, or for something that it does not have.
///
/// # Errors
///
/// The exit status; the message has been printed.
pub fn parse<T: Parser>() -> Result<T, ExitCode> {
    T::try_parse().map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            print!("{error}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{}", one_line(&error.to_string()));
            ExitCode::from(2)
        }
    })
}

/// Prints what the program does not do. Returns the exit status of a bad command line.
#[must_use]
pub fn refuse(what: &str) -> ExitCode {
    eprintln!("error: {what}");
    ExitCode::from(2)
}

/// Prints why the program failed. Returns its exit status.
#[must_use]
pub fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

/// Returns the paragraphs of clap's message, without the usage and the hints that follow.
fn one_line(message: &str) -> String {
    let said = message.lines().map(str::trim).take_while(|line| {
        !["Usage:", "For more information", "tip:"].iter().any(|end| line.starts_with(end))
    });
    said.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn what_is_missing_is_said_in_one_line_without_the_usage() {
        let message = "error: the following required arguments were not provided:\n  --port <P>\n\n\
                       Usage: x --port <P>\n\nFor more information, try '--help'.\n";
        assert_eq!(
            one_line(message),
            "error: the following required arguments were not provided: --port <P>"
        );
    }
}
