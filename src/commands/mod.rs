//! Floor 6: one module for each subcommand: arguments, and the call of what does the work.

mod announce;
#[cfg(feature = "box")]
mod box_check;
#[cfg(feature = "box")]
mod box_daemon;
#[cfg(feature = "box")]
mod box_emergency;
#[cfg(feature = "box")]
mod box_enrol;
#[cfg(feature = "box")]
mod box_first_start;
#[cfg(feature = "box")]
mod box_import;
#[cfg(feature = "box")]
mod box_launch;
#[cfg(feature = "box")]
mod box_prepared;
#[cfg(feature = "box")]
mod box_setup;
mod cap;
#[cfg(feature = "central")]
mod central;
#[cfg(feature = "central")]
mod central_authority;
#[cfg(feature = "central")]
mod central_backup;
#[cfg(feature = "central")]
mod central_init;
#[cfg(feature = "central")]
mod central_invite;
#[cfg(feature = "central")]
mod central_move;
#[cfg(feature = "central")]
mod central_person;
#[cfg(feature = "central")]
mod central_renew;
#[cfg(feature = "central")]
mod central_restore;
#[cfg(feature = "central")]
mod central_token;
mod check;
mod client;
mod conform;
#[cfg(feature = "box")]
mod console;
#[cfg(all(feature = "box", feature = "central"))]
mod demo;
mod documents;
mod draft;
mod enrol_ask;
mod groups;
mod help;
mod key;
mod language;
mod live;
mod local_emergency;
mod log_lines;
mod logs;
mod policy;
mod programme;
mod programme_list;
mod programme_send;
mod report;
#[cfg(any(feature = "box", feature = "central"))]
mod service_user;
mod simulate;
#[cfg(feature = "central")]
mod simulate_fleet;
mod software;
mod status;
mod stop;
#[cfg(feature = "box")]
mod test_tone;
pub mod texts;
mod when;

use std::process::ExitCode;

use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand};

use language::{Failure, words};
use loaxa_heart::texts::Lang;

/// Loa Xã: the loudspeakers of a commune.
#[derive(Parser)]
#[command(name = "loaxa", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[cfg(feature = "box")]
    Box(box_daemon::Args),
    #[cfg(feature = "central")]
    Central(central::Args),
    Announce(announce::Args),
    Live(live::Args),
    Cap(cap::Args),
    Stop(stop::Args),
    Status(status::Args),
    Logs(logs::Args),
    Report(report::Args),
    Programme(programme::Args),
    Policy(policy::Args),
    Groups(groups::Args),
    Software(software::Args),
    LocalEmergency(local_emergency::Args),
    Draft(draft::Args),
    Key(key::Args),
    Check(check::Args),
    Conform(conform::Args),
    Simulate(simulate::Args),
    #[cfg(all(feature = "box", feature = "central"))]
    Demo(demo::Args),
}

/// The command line as it is read; its texts are in the language of `lang`.
fn command_line(lang: Lang) -> clap::Command {
    let language = Arg::new("lang").long("lang").value_name("LANG").value_parser(["vi", "en"]).global(true);
    help::translate(Cli::command().arg(language), lang)
}

/// Runs the program. The only place that turns an error into an exit code.
/// Code of a program that ends because nobody reads it any more, as shells count it: 128 and the number of SIGPIPE.
const NOBODY_READS: i32 = 141;

/// Ends this program quietly where a reader such as `head` has gone: the macros that print know nothing but to panic.
fn end_with_the_reader() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload().downcast_ref::<String>();
        if said
            .is_some_and(|said| said.starts_with("failed printing to stdout") && said.contains("os error 32"))
        {
            std::process::exit(NOBODY_READS);
        }
        before(panic);
    }));
}

pub fn main() -> ExitCode {
    end_with_the_reader();
    language::choose(std::env::args_os());
    let lang = language::chosen();
    let read = command_line(lang).try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    match read {
        Ok(cli) => run(cli.command),
        Err(error) => help::answer(&error, lang),
    }
}

fn run(command: Command) -> ExitCode {
    let outcome = match command {
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
        Command::Software(args) => software::run(args),
        Command::LocalEmergency(args) => local_emergency::run(args),
        Command::Groups(args) => groups::run(args),
        Command::Draft(args) => draft::run(args),
        Command::Key(args) => key::run(args),
        Command::Check(args) => check::run(args),
        Command::Conform(args) => conform::run(args),
        Command::Simulate(args) => simulate::run(args),
        #[cfg(all(feature = "box", feature = "central"))]
        Command::Demo(args) => demo::run(args),
    };
    outcome.unwrap_or_else(|Failure(sentence)| {
        eprintln!("loaxa: {}", words(sentence));
        ExitCode::FAILURE
    })
}
