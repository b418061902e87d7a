//! Floor 6: one module for each subcommand: arguments, and the call of what does the work.

mod announce;
#[cfg(feature = "box")]
mod box_daemon;
#[cfg(feature = "box")]
mod box_enrol;
#[cfg(feature = "box")]
mod box_import;
mod cap;
#[cfg(feature = "central")]
mod central;
#[cfg(feature = "central")]
mod central_init;
mod check;
mod client;
mod conform;
#[cfg(all(feature = "box", feature = "central"))]
mod demo;
mod draft;
mod groups;
mod key;
mod live;
mod logs;
mod policy;
mod programme;
mod programme_send;
mod report;
mod simulate;
mod status;
mod stop;
#[cfg(feature = "box")]
mod test_tone;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What a command returns: its exit code, or a sentence for the person who typed it.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Outcome = Result<ExitCode, Error>;

/// Loa Xã: the loudspeakers of a commune.
#[derive(Parser)]
#[command(name = "loaxa", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The daemon on the village box, and what an installer does there.
    #[cfg(feature = "box")]
    Box(box_daemon::Args),
    /// The server for commune staff.
    #[cfg(feature = "central")]
    Central(central::Args),
    /// Pushes an announcement through central.
    Announce(announce::Args),
    /// Speaks live to the loudspeakers, from a file, the standard input or a microphone.
    Live(live::Args),
    /// Alerts of the Common Alerting Protocol: takes, shows and approves them.
    Cap(cap::Args),
    /// Stops an announcement, or all of them.
    Stop(stop::Args),
    /// Shows the boxes and what is on the air.
    Status(status::Args),
    /// Shows or verifies playback logs.
    Logs(logs::Args),
    /// Minutes aired, missed and why, as a table.
    Report(report::Args),
    /// Checks and previews programmes.
    Programme(programme::Args),
    /// Sends the limits that the guards of boxes keep.
    Policy(policy::Args),
    /// Moves boxes to other groups.
    Groups(groups::Args),
    /// Shows and signs what waits for people's signatures.
    Draft(draft::Args),
    /// Makes and shows signing keys.
    Key(key::Args),
    /// Checks configuration files.
    Check(check::Args),
    /// Tests somebody's box or centre against the protocol.
    Conform(conform::Args),
    /// Simulates years of a box with faults.
    Simulate(simulate::Args),
    /// A whole commune on this machine.
    #[cfg(all(feature = "box", feature = "central"))]
    Demo(demo::Args),
}

/// Sends what the program says of itself to standard error, where a supervisor collects it. `LOAXA_LOG` chooses what.
#[allow(dead_code, reason = "only daemons call it, and a feature set may have none")]
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("LOAXA_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,loaxa=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// Runs the program. The only place that turns an error into an exit code.
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        #[cfg(feature = "box")]
        Command::Box(args) => box_daemon::run(args),
        #[cfg(feature = "central")]
        Command::Central(args) => central::run(args),
        Command::Announce(args) => announce::run(args),
        Command::Live(args) => live::run(args),
        Command::Cap(args) => cap::run(args),
        Command::Stop(args) => stop::run(args),
        Command::Status(args) => status::run(args),
        Command::Logs(args) => logs::run(args),
        Command::Report(args) => report::run(args),
        Command::Programme(args) => programme::run(args),
        Command::Policy(args) => policy::run(args),
        Command::Groups(args) => groups::run(args),
        Command::Draft(args) => draft::run(args),
        Command::Key(args) => key::run(args),
        Command::Check(args) => check::run(args),
        Command::Conform(args) => conform::run(args),
        Command::Simulate(args) => simulate::run(args),
        #[cfg(all(feature = "box", feature = "central"))]
        Command::Demo(args) => demo::run(args),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("loaxa: {error}");
        ExitCode::FAILURE
    })
}
