//! Logs of the process itself, on standard error. Never more than asked for: a run's own words are events.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Why logging can't be set up.
#[derive(Debug, thiserror::Error)]
#[error("`{filter}` is no log filter: {why}")]
pub struct FilterError {
    filter: String,
    why: String,
}

/// Sets up logging by a filter such as `info` or `canard=debug`; left out, `RUST_LOG` says, and else `warn`.
/// The first call in a process counts.
///
/// # Errors
/// If the filter can't be read.
pub fn log(filter: Option<&str>) -> Result<(), FilterError> {
    let from_environment = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|text| !text.is_empty());
    let text = filter.map(str::to_owned).or(from_environment).unwrap_or_else(|| "warn".to_owned());
    let filter = EnvFilter::try_new(&text)
        .map_err(|error| FilterError { filter: text.clone(), why: error.to_string() })?;
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colour);
    // Fails only where a subscriber is set already; that one stays.
    let _ = subscriber.with_writer(std::io::stderr).try_init();
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_filter_that_is_none_is_an_error() {
        let error = super::log(Some("canard=loud")).unwrap_err();
        assert!(error.to_string().contains("canard=loud"), "{error}");
    }
}
