//! `loaxa box check`: each thing that a box needs, whether it is right, and what to do where it is not.

mod controls;
mod finding;
mod link;
mod machine;
mod wear;

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use self::finding::{Finding, Grade};
use super::language::{Outcome, chosen, words};
use loaxa_box::local_socket;
use loaxa_box::status::Status;
use loaxa_heart::config::box_file::{self, BoxConfig, NamedFiles};
use loaxa_heart::said;
use loaxa_heart::texts::Say;

#[derive(clap::Args)]
pub struct Args {
    #[arg(long)]
    json: bool,
}

/// Looks at everything; the exit code is 1 where something keeps the box from its work.
pub fn run(args: &Args, config: &Path) -> Outcome {
    let findings = match box_file::read(config, NamedFiles::MustExist) {
        Ok(read) => look(&read),
        Err(_) if !config.exists() => {
            vec![Finding::bad(
                "settings",
                said!("box_check.not_enrolled", path = config.display()),
                said!("box_check.enrol"),
            )]
        }
        Err(problems) => {
            vec![Finding::bad(
                "settings",
                problems.say(),
                said!("box_check.mend_settings", path = config.display()),
            )]
        }
    };
    if args.json {
        let shown = findings.iter().map(|finding| {
            json!({
                "check": finding.thing, "state": finding.grade.code(), "said": words(&finding.said),
                "remedy": finding.remedy.as_ref().map(words),
            })
        });
        println!("{}", serde_json::to_string_pretty(&shown.collect::<Vec<_>>())?);
    } else {
        findings.iter().for_each(print);
    }
    let bad = findings.iter().any(|finding| finding.grade == Grade::Bad);
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn print(finding: &Finding) {
    let texts = crate::commands::texts::TEXTS.of(chosen());
    let grade = texts.code("grade", finding.grade.code());
    println!("{grade:<8} {}: {}", texts.code("thing", finding.thing), words(&finding.said));
    if let Some(remedy) = &finding.remedy {
        println!("         -> {}", words(remedy));
    }
}

fn look(config: &BoxConfig) -> Vec<Finding> {
    // A daemon that runs holds the devices, and knows better.
    let status = local_socket::ask(&config.state_dir).ok();
    let status = status.as_ref();
    vec![
        Finding::good("settings", said!("box_check.settings", id = config.id)),
        daemon(status),
        machine::clock(config, status),
        link::network(config),
        link::broker(config, status),
        link::certificate(config),
        link::trust(config),
        machine::storage(config, status),
        wear::wear(&config.state_dir),
        machine::sound(config, status),
        controls::controls(config),
        machine::amplifier(config, status),
        machine::microphone(config, status),
        link::data(status),
    ]
}

fn daemon(status: Option<&Status>) -> Finding {
    match status {
        Some(status) => Finding::good("daemon", said!("box_check.daemon", version = status.software)),
        None => Finding::doubtful("daemon", said!("box_check.no_daemon"), said!("box_check.start_daemon")),
    }
}
