//! New boxes come in by a one-time code, and stolen ones are shut out.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::app::App;
use crate::link::certificates::{Ca, CertificateError};
use crate::orders::documents;
use crate::settings::{BoxDeclared, PageTls};
use crate::store::StoreError;
use loaxa_adapters::whole_file;
use loaxa_heart::domain::ids::{BoxId, GroupId};
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence, steers};
use loaxa_heart::wire::enrolment::{Asked, EnrolRequest, Enrolled, EnrolmentCode, SECRET_DIGITS};

/// Life of a code: an installer's day and the next.
pub const CODE_LIVES: Span = Span::secs(48 * 3_600);

/// Longest name of a box, in characters.
pub const TITLE_CHARS_MAX: usize = 120;

/// A reason for which a box is not enrolled.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum NotEnrolled {
    Off,
    NoSuchGroup(GroupId),
    NoGroup,
    /// The box's name is empty, too long, or holds what steers a terminal.
    Title,
    Code,
    Keys,
    Random(getrandom::Error),
    RevocationList {
        path: PathBuf,
        error: std::io::Error,
    },
    /// The authority of the page's certificate can't be read.
    Authority {
        path: PathBuf,
        error: std::io::Error,
    },
    Certificate(#[from] CertificateError),
    Store(#[from] StoreError),
}

impl Say for NotEnrolled {
    fn say(&self) -> Sentence {
        match self {
            NotEnrolled::Off => said!("enrolment.off"),
            NotEnrolled::NoSuchGroup(group) => said!("enrolment.no_such_group", group),
            NotEnrolled::NoGroup => said!("enrolment.no_group"),
            NotEnrolled::Title => said!("enrol.bad_name", max = TITLE_CHARS_MAX),
            NotEnrolled::Code => said!("enrolment.code"),
            NotEnrolled::Keys => said!("enrolment.keys"),
            NotEnrolled::Random(error) => said!("enrolment.random", error),
            NotEnrolled::RevocationList { path, error } => {
                said!("enrolment.revocation_list", path = path.display(), error)
            }
            NotEnrolled::Authority { path, error } => {
                said!("enrolment.authority", path = path.display(), error)
            }
            NotEnrolled::Certificate(error) => error.say(),
            NotEnrolled::Store(error) => error.say(),
        }
    }
}

/// Makes a code with which one box may come in once.
///
/// # Errors
/// Fails when the name is no name, a group is unknown, or central enrols nobody.
pub async fn invite(
    app: &App,
    id: BoxId,
    title: &str,
    mut groups: Vec<GroupId>,
) -> Result<(EnrolmentCode, Wall), NotEnrolled> {
    let enrolment = app.settings.enrolment.as_ref().ok_or(NotEnrolled::Off)?;
    let title = title.trim().to_owned();
    if title.is_empty() || title.chars().count() > TITLE_CHARS_MAX || title.chars().any(steers) {
        return Err(NotEnrolled::Title);
    }
    let mut seen = BTreeSet::new();
    groups.retain(|group| seen.insert(group.clone()));
    if groups.is_empty() {
        return Err(NotEnrolled::NoGroup);
    }
    if let Some(group) = app.settings.unknown_group(&groups) {
        return Err(NotEnrolled::NoSuchGroup(group.clone()));
    }
    let mut random = [0; SECRET_DIGITS / 2];
    getrandom::fill(&mut random).map_err(NotEnrolled::Random)?;
    let code = EnrolmentCode::new(random, &enrolment.root);
    let expires = app.now().plus(CODE_LIVES);
    let declared = BoxDeclared { id, title, groups, key: None };
    app.store.add_enrolment(code.hash(), declared, expires).await?;
    Ok((code, expires))
}

/// Writes the command that the installer types on the box.
pub fn command(app: &App, code: &EnrolmentCode) -> String {
    format!("sudo loaxa box enrol --central {} --code {code}", app.public_url)
}

/// Draws a text as a QR code, in SVG.
pub fn qr(text: &str) -> String {
    use qrcode::render::svg;
    // A command with an address of a hundred characters is far below what a QR code holds.
    let code = qrcode::QrCode::with_error_correction_level(text, qrcode::EcLevel::M);
    code.map(|code| code.render::<svg::Color>().min_dimensions(320, 320).build()).unwrap_or_default()
}

/// Enrols a box: uses its code up, keeps the key of its log, and issues its certificate. An earlier certificate of this
/// name is revoked.
///
/// # Errors
/// Fails when the code is not good.
pub async fn enrol(app: &Arc<App>, request: EnrolRequest) -> Result<Enrolled, NotEnrolled> {
    let enrolment = app.settings.enrolment.as_ref().ok_or(NotEnrolled::Off)?;
    let Asked { code, log_key, tls_key } = request.asked().ok_or(NotEnrolled::Keys)?;
    let (ca, now) = (Ca::open(&enrolment.ca)?, app.now());
    let authorities = authorities(app, &enrolment.ca.certificate)?;
    let taken = app.store.use_enrolment(code, log_key.to_string(), now).await?;
    let declared = taken.ok_or(NotEnrolled::Code)?;
    let issued = ca.issue_to_box(&declared.id, &tls_key, (now.date(), enrolment.certificate_days))?;
    app.store.add_certificate(issued.fingerprint, issued.serial, declared.id.clone(), now).await?;
    shut_out(app, &declared.id).await;
    tracing::info!(id = %declared.id, "a box was enrolled");
    if let Err(error) = documents::groups_follow_enrolment(app).await {
        tracing::warn!(%error, "the boxes are not told of the groups of the new one");
    }
    let answer = Enrolled {
        groups: app.groups_of(&declared.groups),
        id: declared.id,
        root: enrolment.root.to_string(),
        trust: String::from_utf8_lossy(app.keyring.trust_envelope()).into_owned(),
        ca: authorities,
        certificate: issued.certificate,
        broker: enrolment.broker.to_string(),
        seal: None,
    };
    let seal = app.keyring.seal(&answer.seal_for(&log_key, &tls_key));
    Ok(Enrolled { seal: Some(String::from_utf8_lossy(&seal).into_owned()), ..answer })
}

/// The certificates against which a box checks the broker's and the page's; `None` where central enrols nobody, or those of the
/// page can't be read now.
pub fn known_authorities(app: &App) -> Option<String> {
    let enrolment = app.settings.enrolment.as_ref()?;
    authorities(app, &enrolment.ca.certificate)
        .inspect_err(|error| tracing::warn!(%error, "boxes learn none"))
        .ok()
}

fn authorities(app: &App, own: &str) -> Result<String, NotEnrolled> {
    let PageTls::Files { ca: Some(path), .. } = &app.settings.page.tls else { return Ok(own.to_owned()) };
    let of_page = std::fs::read_to_string(path)
        .map_err(|error| NotEnrolled::Authority { path: path.clone(), error })?;
    Ok(format!("{}\n{of_page}", own.trim_end()))
}

/// Revokes a box: its sessions end, its certificate no longer opens the gate, and its log is no longer believed.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn revoke(app: &App, id: &BoxId) -> Result<bool, StoreError> {
    let known = app.store.revoke_box(id.clone(), app.now()).await?;
    shut_out(app, id).await;
    tracing::warn!(%id, known, "a box was revoked");
    Ok(known)
}

async fn shut_out(app: &App, id: &BoxId) {
    // Without a gate nobody listens.
    let _ = app.revoked.send(id.clone());
    if let Err(error) = write_revocation_list(app).await {
        tracing::error!(%error, "the list of revoked certificates is not written: a broker of its own lets them in");
    }
}

/// Writes the list of revoked certificates for a broker that is not ours, as a whole or not at all.
///
/// # Errors
/// Fails when the store does not answer, or the disk refuses.
pub async fn write_revocation_list(app: &App) -> Result<(), NotEnrolled> {
    let Some(enrolment) = &app.settings.enrolment else { return Ok(()) };
    let revoked = app.store.revoked_certificates().await?;
    let revoked: Vec<_> = revoked.into_iter().map(|(serial, at)| (serial, at.date())).collect();
    // Brokers may restart when this file changes, so an equal list is not written again.
    let before = std::fs::read_to_string(&enrolment.crl).unwrap_or_default();
    let ca = Ca::open(&enrolment.ca)?;
    if before.lines().next() == Some(&ca.list_mark(&revoked)) {
        return Ok(());
    }
    let list = ca.revocation_list(&revoked, app.now().date())?;
    let written = whole_file::write(&enrolment.crl, list.as_bytes(), 0o644);
    written.map_err(|error| NotEnrolled::RevocationList { path: enrolment.crl.clone(), error })
}
