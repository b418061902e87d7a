//! What a daemon says of itself.

/// Sends what the program says of itself to standard error, where a supervisor collects it. `LOAXA_LOG` chooses what.
pub fn to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("LOAXA_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,loaxa=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
