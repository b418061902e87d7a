//! Certificates of boxes are renewed over their own sessions, before they end or after.

use crate::app::App;
use crate::boxes::enrolment::{NotEnrolled, known_authorities, write_revocation_list};
use crate::link::certificates::Ca;
use crate::store::AlarmKind;
use loaxa_heart::domain::ids::{BoxId, KeyId};
use loaxa_heart::domain::playback::CommandRefusal;
use loaxa_heart::domain::time::Span;
use loaxa_heart::said;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::VERSION;
use loaxa_heart::wire::renewal::{Renewal, Renewed};
use loaxa_heart::wire::signing::PublicKey;
use loaxa_heart::wire::topics::Down;

/// Time between two certificates of one box: each that is not used lengthens the list of revoked ones.
const PAUSE: Span = Span::secs(3_600);

/// Answers the request of a box with a certificate for the key that it made. The one that it shows stays good, as the answer
/// may be lost on the way.
///
/// # Errors
/// Fails when the store does not answer, or no certificate can be made.
pub async fn renew(app: &App, id: &BoxId, bytes: &[u8]) -> Result<(), NotEnrolled> {
    let Some(enrolment) = &app.settings.enrolment else { return Ok(()) };
    let known = app.store.enrolled(id.clone()).await?.and_then(|enrolled| enrolled.key);
    let Some(known) = known.and_then(|key| key.parse::<PublicKey>().ok()) else {
        app.refuse(AlarmKind::UnknownBox, id, "it asked for a certificate".to_owned()).await;
        return Ok(());
    };
    let (asked, key) = match read(bytes, id, &known) {
        Ok(read) => read,
        Err(refusal) => {
            app.refuse(AlarmKind::BadLog, id, refusal.to_string()).await;
            return Ok(());
        }
    };
    let now = app.now();
    let issued = Ca::open(&enrolment.ca)?.issue_to_box(id, &key, (now.date(), enrolment.certificate_days))?;
    let next = (issued.fingerprint, issued.serial);
    if !app.store.renew_certificate(asked.present, next, id.clone(), (now, PAUSE)).await? {
        app.refuse(
            AlarmKind::TooMuch,
            id,
            "it asked for a certificate again, or shows none of its own".to_owned(),
        )
        .await;
        return Ok(());
    }
    write_revocation_list(app).await?;
    tracing::info!(%id, "a box got a new certificate");
    let renewed = Renewed {
        v: VERSION,
        id: id.clone(),
        nonce: asked.nonce,
        certificate: issued.certificate,
        authorities: known_authorities(app),
    };
    app.outbound.to_box(id, Down::Certificate, app.keyring.seal(&renewed));
    Ok(())
}

/// Reads a request that the key of the box's log signed, and the new key.
fn read(bytes: &[u8], id: &BoxId, known: &PublicKey) -> Result<(Renewal, PublicKey), CommandRefusal> {
    let keys = |key: &KeyId| Some(*known).filter(|known| known.key_id() == *key);
    let asked = codec::open::<Renewal>(bytes, &keys)?.payload;
    let key = asked.key().filter(|_| asked.id == *id);
    let key = key.ok_or_else(|| CommandRefusal::Impossible { detail: said!("renewal.not_its_own") })?;
    Ok((asked, key))
}
