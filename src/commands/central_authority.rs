//! `loaxa central authority`: the commune's own certificate authority, its end, and the one after it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use loaxa_adapters::certificate::{names, validity};
use loaxa_adapters::{clock, private_files, whole_file};
use loaxa_central::link::certificates::Ca;
use loaxa_central::settings::Identity;
use loaxa_heart::config::box_file::NamedFiles;
use loaxa_heart::config::central_file::{self, EnrolmentFiles};
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::language::{Failure, Outcome, of_file, tell};

/// Days before its end at which the next authority is to be made.
const DAYS_WANTED: i64 = 60;
/// Files beside the authority's with certificates of servers, as `loaxa central init` makes them, with their keys.
const SERVERS: [(&str, &str, &str); 2] =
    [("broker", "broker.pem", "broker-tls.key"), ("central", "central.pem", "central-tls.key")];

#[derive(clap::Args)]
pub struct Args {
    #[arg(long, conflicts_with = "alone")]
    renew: bool,
    #[arg(long)]
    alone: bool,
    #[arg(long, default_value = "/etc/loaxa/central.toml")]
    config: PathBuf,
}

/// Shows the authorities, after a change where one is asked for; the exit code is 1 where another is to be made.
pub fn run(args: &Args) -> Outcome {
    let config = central_file::read(&args.config, NamedFiles::MustExist)?;
    let files = config.enrolment.ok_or_else(|| Failure(said!("authority.none")))?;
    let (certificate, key) = &files.ca;
    let before = Identity { certificate: text(certificate)?, key: private_files::read(key)? };
    let now = clock::wall();
    let identity = match (args.renew, args.alone) {
        (true, _) => Ca::succeeded(&before, Ca::term(now.date()))?,
        (_, true) => Ca::alone(&before)?,
        _ => before,
    };
    if args.renew || args.alone {
        write(&files, &identity, args.alone)?;
        tell!("authority.restart");
    }
    show(&identity.certificate, now)
}

/// Writes the authority and what it issues. With either of both files from before, keys and certificates still fit: the keys
/// stand in one file, and each certificate finds its own.
fn write(files: &EnrolmentFiles, identity: &Identity, alone: bool) -> Result<(), Failure> {
    let (certificate, key) = &files.ca;
    let put = |path: &Path, text: &str| {
        let failed = |error| Failure(of_file(path, &error));
        let before = std::fs::metadata(path).map_err(failed)?;
        whole_file::write(path, text.as_bytes(), before.mode() & 0o777).map_err(failed)?;
        // The service reads it under its own user.
        std::os::unix::fs::chown(path, Some(before.uid()), Some(before.gid())).map_err(failed)
    };
    if alone {
        put(certificate, &identity.certificate)?;
        put(key, &identity.key)?;
    } else {
        put(key, &identity.key)?;
        put(certificate, &identity.certificate)?;
    }
    let ca = Ca::open(identity)?;
    let folder = certificate.parent().unwrap_or(Path::new(""));
    for (name, shown, secret) in SERVERS {
        let (shown, secret) = (folder.join(shown), folder.join(secret));
        if shown.exists() && secret.exists() {
            let hosts = vec![files.broker.host.clone(), "localhost".to_owned()];
            let again = ca.issue_again(hosts, name, &private_files::read(&secret)?)?;
            put(&shown, &again.certificate)?;
        }
    }
    Ok(())
}

fn show(certificates: &str, now: Wall) -> Outcome {
    let mut first_left = None;
    for certificate in CertificateDer::pem_slice_iter(certificates.as_bytes()).flatten() {
        let (Some((by, of)), Some(validity)) = (names(&certificate), validity(&certificate)) else {
            continue;
        };
        // What one authority says of another is none.
        if by != of {
            continue;
        }
        let left = (validity.ends - now).div_euclid(86_400_000_000);
        let until = validity.ends.local().format("%d/%m/%Y");
        match first_left {
            None => tell!("authority.issues", name = of, until, days = left),
            Some(_) => tell!("authority.earlier", name = of, until),
        }
        first_left.get_or_insert(left);
    }
    if first_left.is_some_and(|left| left >= DAYS_WANTED) {
        return Ok(ExitCode::SUCCESS);
    }
    tell!("authority.renew");
    Ok(ExitCode::FAILURE)
}

fn text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure(of_file(path, &error)))
}
