//! `loaxa conform`: whether somebody's box or centre keeps to docs/protocol.md, asked over a real broker.
//!
//! It knows nothing of the other side but its messages. Each check names the section of the protocol that it is of; the
//! answers are printed as TAP (testanything.org), whose sentences are in the language of the command line.

mod box_documents;
mod box_side;
mod central_side;
mod check;
mod enrolment;
mod renewal;
mod wire;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::language::{Failure, Outcome, chosen, of_file, words};
use super::texts::TEXTS;
use check::{Broker, Check};
use loaxa_heart::domain::ids::{BoxId, GroupId};
use loaxa_heart::said;
use loaxa_heart::texts::Sentence;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::enrolment::EnrolmentCode;
use wire::Authority;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    Prepare {
        dir: PathBuf,
    },
    Box {
        #[command(flatten)]
        broker: Broker,
        #[arg(long = "box")]
        id: BoxId,
        #[arg(long)]
        group: GroupId,
        #[arg(long)]
        key: Option<String>,
        #[arg(long)]
        renewal: bool,
        #[arg(long, default_value_t = 180)]
        wait: u64,
    },
    Central {
        #[command(flatten)]
        broker: Broker,
        #[arg(long = "box")]
        id: BoxId,
        #[arg(long)]
        root: PathBuf,
    },
    Enrolment {
        #[arg(long, value_name = "URL")]
        central: String,
        #[arg(long)]
        code: EnrolmentCode,
    },
}

pub fn run(args: Args) -> Outcome {
    match args.action {
        Action::Prepare { dir } => prepare(&dir),
        Action::Box { broker, id, group, key, renewal, wait } => {
            let wire =
                wire::Wire::connect(&broker, "loaxa-conform", vec![format!("loaxa/v1/box/{id}/up/+")])?;
            let mut centre = box_side::Centre::new(wire, id, group, key.as_deref())?;
            centre.tells_of_authorities = renewal;
            let of_renewal = if renewal { renewal::OF_BOX } else { &[] };
            let checks = [box_side::CHECKS, of_renewal, box_documents::CHECKS];
            report(&checks, &mut centre, |centre| centre.await_hello(Duration::from_secs(wait)))
        }
        Action::Central { broker, id, root } => {
            let filters = loaxa_heart::wire::topics::box_filters(&id, []);
            let wire = wire::Wire::connect(&broker, id.as_str(), filters)?;
            let shown =
                broker.identity.as_ref().and_then(|files| files.first()).map(std::fs::read).transpose()?;
            let mut unit = central_side::Unit::new(wire, id, wire::root_key(&root)?);
            unit.shows = shown.as_deref().and_then(loaxa_adapters::certificate::first_of);
            let of_renewal = if unit.shows.is_some() { renewal::OF_CENTRAL } else { &[] };
            report(&[central_side::CHECKS, of_renewal], &mut unit, |unit| unit.await_connection())
        }
        Action::Enrolment { central, code } => {
            let mut newcomer = enrolment::Newcomer::new(central, code);
            report(&[enrolment::CHECKS], &mut newcomer, |_| Ok(()))
        }
    }
}

fn report<T>(
    checks: &[&[Check<T>]],
    bench: &mut T,
    first: impl FnOnce(&mut T) -> Result<(), Sentence>,
) -> Outcome {
    let checks: Vec<_> = checks.iter().copied().flatten().collect();
    println!("TAP version 13\n1..{}", checks.len());
    if let Err(reason) = first(bench) {
        println!("Bail out! {}", words(reason));
        return Ok(ExitCode::FAILURE);
    }
    let mut failed = 0;
    for (number, Check(key, section, check)) in checks.iter().enumerate() {
        let (number, what) = (number + 1, TEXTS.of(chosen()).say(key));
        match check(bench) {
            Ok(()) => println!("ok {number} - {what} ({section})"),
            Err(reason) => {
                failed += 1;
                println!("not ok {number} - {what} ({section})");
                words(reason).lines().for_each(|line| println!("# {line}"));
            }
        }
    }
    println!("# {}", words(said!("conform.summary", passed = checks.len() - failed, failed)));
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn prepare(dir: &Path) -> Outcome {
    std::fs::create_dir_all(dir)?;
    let authority = Authority::default();
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        std::fs::write(&path, bytes).map_err(|error| of_file(&path, &error))?;
        println!("{}", path.display());
        Ok::<(), Failure>(())
    };
    write("root.pub", format!("public {}\n", authority.root.public()).as_bytes())?;
    write("trust.json", &codec::seal(&authority.trust(1), &[&authority.root]))?;
    write("box.pub", format!("public {}\n", wire::unit_key().public()).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use loaxa_heart::texts::Lang;

    #[test]
    fn every_check_has_a_sentence_in_both_languages() {
        let of_box = box_side::CHECKS.iter().chain(box_documents::CHECKS).map(|Check(key, ..)| key);
        let of_central = central_side::CHECKS.iter().map(|Check(key, ..)| key);
        let of_enrolment = enrolment::CHECKS.iter().map(|Check(key, ..)| key);
        let of_renewal = renewal::OF_CENTRAL.iter().map(|Check(key, ..)| key);
        let of_renewal = of_renewal.chain(renewal::OF_BOX.iter().map(|Check(key, ..)| key));
        for key in of_box.chain(of_central).chain(of_enrolment).chain(of_renewal) {
            for lang in Lang::ALL {
                assert_ne!(TEXTS.of(lang).say(key), *key, "{lang:?}");
            }
        }
    }
}
