//! The box's side of the protocol: hello, heartbeat, the log on its way home, and what arrives.

use crate::clock::monotonic;
use crate::mqtt::{Link, LinkError, Qos};
use loaxa_heart::decide::outbox::{self, Outbox};
use loaxa_heart::domain::authority::{Power, Trust};
use loaxa_heart::domain::ids::{BoxId, ContentHash, KeyId};
use loaxa_heart::domain::playback::CommandRefusal;
use loaxa_heart::domain::time::{Moment, Span, Wall};
use loaxa_heart::said;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{
    Command, Heartbeat, Hello, Holds, LogAck, LogBatch, LogHead, LogRecord, Lost, Signed, TrustMessage,
    VERSION, Welcome,
};
use loaxa_heart::wire::renewal::{Renewal, Renewed};
use loaxa_heart::wire::signing::{PublicKey, SecretKey};
use loaxa_heart::wire::topics::{Down, Topic, Up};

/// Time in which central is to know of a command; several that come together are told together.
const TOLD_WITHIN: Span = Span::secs(2);

/// Times that news of what the box holds are told in full, as a heartbeat may be lost.
const TOLD_IN_FULL: u32 = 2;

/// After so many heartbeats with a digest one tells it in full, for a central that has missed the news.
const TOLD_AGAIN_AFTER: u32 = 9;

/// Time between two signs of life.
pub const HEARTBEAT_EVERY: Span = Span::secs(60);

/// Time after central's last answer after which heartbeats ask for another: a broker may go on without it.
const ASK_AFTER: Span = Span::secs(300);

/// Time after central's last answer after which it is taken to be out of reach: five heartbeats asked in vain.
const SILENT_AFTER: Span = Span::secs(600);

/// Something that arrived and was checked as far as signatures go.
#[derive(Debug)]
pub enum Arrived {
    /// The answer to the hello that was sent at `asked`.
    Welcome {
        welcome: Welcome,
        asked: Moment,
    },
    /// The answer to a heartbeat that asked for the time at `asked`.
    Time {
        time: Wall,
        asked: Moment,
    },
    /// With the exact bytes of its envelope.
    Command {
        signed: Box<Signed<Command>>,
        envelope: Vec<u8>,
    },
    Acknowledged(LogAck),
    Trust {
        message: TrustMessage,
        envelope: Vec<u8>,
    },
    Certificate(Renewed),
}

/// The way between this box and central.
pub struct Uplink {
    box_id: BoxId,
    key: SecretKey,
    root: Option<PublicKey>,
    link: Option<Link>,
    pub outbox: Outbox,
    /// Nonce of the last hello, and when it was sent.
    asked: Option<(String, Moment)>,
    /// Nonce of the last heartbeat that asked for the time, and when it was sent.
    asked_time: Option<(String, Moment)>,
    /// The moment of the last question that central has answered over this connection.
    answered: Option<Moment>,
    heartbeat_at: Moment,
    connected: bool,
    told: Told,
}

/// The last account of what the box holds, so that most heartbeats need not repeat it.
#[derive(Default)]
struct Told {
    holds: Option<Holds>,
    /// Heartbeats since the account was told in full.
    since: u32,
    /// Times that the account was told in full.
    times: u32,
}

impl Told {
    /// Returns the account for the next heartbeat: all of it, or its digest.
    fn next(&mut self, holds: Holds) -> (Option<Holds>, Option<String>) {
        if self.holds.as_ref() != Some(&holds) {
            *self = Self { holds: Some(holds.clone()), ..Self::default() };
        }
        if self.times < TOLD_IN_FULL || self.since >= TOLD_AGAIN_AFTER {
            (self.times, self.since) = (self.times + 1, 0);
            return (Some(holds), None);
        }
        self.since += 1;
        (None, Some(holds.digest()))
    }
}

impl Uplink {
    /// Makes the uplink of a box that is not connected yet.
    pub fn new(
        box_id: BoxId,
        key: SecretKey,
        root: Option<PublicKey>,
        link: Option<Link>,
        outbox: Outbox,
    ) -> Self {
        let heartbeat_at = Moment(0);
        Self {
            box_id,
            key,
            root,
            link,
            outbox,
            asked: None,
            asked_time: None,
            answered: None,
            heartbeat_at,
            connected: false,
            told: Told::default(),
        }
    }

    /// Returns the last will of a box.
    pub fn last_will(box_id: &BoxId, epoch: loaxa_heart::domain::ids::Epoch) -> (Topic, Vec<u8>) {
        let lost = Lost { v: VERSION, epoch };
        (Topic::Up(box_id.clone(), Up::Lost), codec::encode(&lost))
    }

    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Asks central for a new certificate.
    pub fn ask_for_certificate(&self, asked: &Renewal) {
        if let Err(error) = self.publish(Up::Renew, codec::seal(asked, &[&self.key]), Qos::AtLeastOnce) {
            tracing::warn!(%error, "a new certificate is asked for another time");
        }
    }

    /// Ends the connection, so that the next one shows a new certificate.
    pub fn reconnect(&self) {
        if let Some(link) = &self.link {
            link.reconnect();
        }
    }

    /// Gives the uplink another link, or takes it away.
    pub fn join(&mut self, link: Option<Link>) {
        self.link = link;
    }

    /// Returns the public half of the key that signs the log, in base64.
    pub fn public_key(&self) -> String {
        self.key.public().to_string()
    }

    /// Changes the groups that are listened to.
    pub fn listen_to<'a>(&self, groups: impl IntoIterator<Item = &'a loaxa_heart::domain::ids::GroupId>) {
        if let Some(link) = &self.link {
            link.subscribe(loaxa_heart::wire::topics::box_filters(&self.box_id, groups));
        }
    }

    fn publish(&self, up: Up, bytes: Vec<u8>, qos: Qos) -> Result<(), LinkError> {
        let link = self.link.as_ref().ok_or(LinkError::NotConnected)?;
        link.publish(&Topic::Up(self.box_id.clone(), up), bytes, qos)
    }

    /// Introduces the box to central, once the broker took the connection. The nonce of `hello` is random.
    pub fn connected(&mut self, hello: Hello) {
        self.connected = true;
        self.asked = Some((hello.nonce.clone(), monotonic()));
        self.heartbeat_at = monotonic() + HEARTBEAT_EVERY;
        if let Err(error) = self.publish(Up::Hello, codec::encode(&hello), Qos::AtLeastOnce) {
            tracing::warn!(%error, "hello was not sent; the next connection says it again");
        }
    }

    pub fn disconnected(&mut self, now: Moment) {
        self.connected = false;
        self.answered = None;
        self.outbox.handle(now, outbox::Input::Disconnected);
    }

    /// Tells whether a heartbeat is due.
    pub fn heartbeat_is_due(&self, now: Moment) -> bool {
        self.connected && self.heartbeat_at <= now
    }

    /// Tells whether central has left the last hello unanswered for as long as a heartbeat: the answer, or the hello, is lost.
    pub fn welcome_is_missing(&self, now: Moment) -> bool {
        self.asked.as_ref().is_some_and(|(_, asked)| now.since(*asked) >= HEARTBEAT_EVERY)
    }

    /// Tells whether the next heartbeat is to ask whether central is still there.
    pub fn wants_answer(&self, now: Moment) -> bool {
        self.answered.is_some_and(|asked| now.since(asked) >= ASK_AFTER)
    }

    /// Returns since when central has not answered, where that is so long that nobody is there, whatever the broker says.
    pub fn silent_since(&self, now: Moment) -> Option<Moment> {
        self.answered.filter(|asked| now.since(*asked) >= SILENT_AFTER)
    }

    /// Sends a heartbeat with what the box holds, or its digest; the next is due in a minute.
    pub fn heartbeat(&mut self, now: Moment, mut heartbeat: Heartbeat, holds: Holds) {
        self.heartbeat_at = now + HEARTBEAT_EVERY;
        self.asked_time = heartbeat.nonce.clone().map(|nonce| (nonce, monotonic()));
        (heartbeat.holds, heartbeat.held) = self.told.next(holds);
        // A quiet heartbeat stays small.
        heartbeat.usage = heartbeat.usage.filter(|_| heartbeat.holds.is_some());
        // The next one says the same and more.
        let _ = self.publish(Up::Heartbeat, codec::encode(&heartbeat), Qos::AtMostOnce);
    }

    /// Has central soon know of a command that the box took in: by the log, where it is urgent, and by the heartbeat.
    pub fn command_taken(&mut self, now: Moment, is_urgent: bool) {
        if is_urgent {
            self.outbox.handle(now, outbox::Input::Urgent);
        }
        self.hurry_heartbeat(now + TOLD_WITHIN);
    }

    /// Makes the next heartbeat due now: something changed that central wants to know.
    pub fn hurry_heartbeat(&mut self, now: Moment) {
        self.heartbeat_at = self.heartbeat_at.min(now);
    }

    /// Sends a batch, and tells the outbox up to where.
    pub fn send_batch(&mut self, now: Moment, mut batch: LogBatch) {
        let upto = batch.records.last().map(|record| record.seq);
        batch.head = batch.records.last().map(|last| self.head(&batch, last));
        let sent = self.publish(Up::Log, codec::seal(&batch, &[&self.key]), Qos::AtLeastOnce);
        let upto = upto.filter(|_| sent.is_ok());
        self.outbox.handle(now, outbox::Input::Published { upto });
    }

    fn head(&self, batch: &LogBatch, last: &LogRecord) -> String {
        let hash = ContentHash::of(last.body.as_bytes());
        let head =
            LogHead { v: VERSION, box_id: batch.box_id.clone(), epoch: batch.epoch, seq: last.seq, hash };
        String::from_utf8(codec::seal(&head, &[&self.key])).expect("envelopes are JSON")
    }

    /// Returns the moment at which something is to be done even if nothing arrives.
    pub fn poll_timeout(&self) -> Option<Moment> {
        let heartbeat = self.connected.then_some(self.heartbeat_at);
        [heartbeat, self.outbox.poll_timeout()].into_iter().flatten().min()
    }

    /// Reads what arrived. `None` for what is not for boxes.
    ///
    /// # Errors
    /// Tells why it is not believed.
    pub fn read(
        &mut self,
        topic: &Topic,
        bytes: Vec<u8>,
        trust: Option<&Trust>,
    ) -> Result<Option<Arrived>, CommandRefusal> {
        let keys = |id: &KeyId| trust.and_then(|trust| public_key(trust, id));
        Ok(Some(match topic {
            Topic::Down(_, Down::Command) | Topic::Group(_) => {
                let signed = Box::new(codec::open_command(&bytes, &keys)?);
                Arrived::Command { signed, envelope: bytes }
            }
            Topic::Down(_, Down::Welcome) => {
                let welcome: Welcome = from_central(&bytes, &keys, trust)?;
                let answers = |(nonce, _): &mut (String, Moment)| {
                    *nonce == welcome.nonce && welcome.box_id == self.box_id
                };
                if let Some((_, asked)) = self.asked.take_if(answers) {
                    self.answered = Some(asked);
                    Arrived::Welcome { welcome, asked }
                } else if let Some((_, asked)) = self.asked_time.take_if(answers) {
                    self.answered = Some(asked);
                    Arrived::Time { time: welcome.time, asked }
                } else {
                    let detail = said!("refused.no_hello");
                    return Err(CommandRefusal::Impossible { detail });
                }
            }
            Topic::Down(_, Down::LogAck) => Arrived::Acknowledged(from_central(&bytes, &keys, trust)?),
            Topic::Down(_, Down::Trust) => {
                Arrived::Trust { message: read_trust(&bytes, self.root.as_ref())?, envelope: bytes }
            }
            Topic::Down(_, Down::Certificate) => {
                let renewed: Renewed = from_central(&bytes, &keys, trust)?;
                if renewed.id != self.box_id {
                    return Err(CommandRefusal::Impossible { detail: said!("refused.other_box") });
                }
                Arrived::Certificate(renewed)
            }
            Topic::Up(..) => return Ok(None),
        }))
    }
}

/// Opens a trust document. Only the pinned root key can sign one.
///
/// # Errors
/// Fails when it is not the root's, or makes no sense.
pub fn read_trust(bytes: &[u8], root: Option<&PublicKey>) -> Result<TrustMessage, CommandRefusal> {
    let pinned = |id: &KeyId| root.filter(|root| root.key_id() == *id).cloned();
    Ok(codec::open::<TrustMessage>(bytes, &pinned)?.payload)
}

/// Returns the public half of a key of the trust document.
pub fn public_key(trust: &Trust, id: &KeyId) -> Option<PublicKey> {
    let grant = trust.grants.iter().find(|grant| grant.key == *id)?;
    grant.public.parse().ok()
}

/// Opens a message that only central may sign.
fn from_central<M: codec::Sealed>(
    bytes: &[u8],
    keys: &impl Fn(&KeyId) -> Option<PublicKey>,
    trust: Option<&Trust>,
) -> Result<M, CommandRefusal> {
    let signed = codec::open::<M>(bytes, keys)?;
    let no_trust = || CommandRefusal::Impossible { detail: said!("refused.no_trust") };
    trust.ok_or_else(no_trust)?.permits(&signed.signers, Power::Central, &[], None::<Wall>)?;
    Ok(signed.payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An uplink without a way out, and the trust document in which central's key stands.
    fn uplink() -> (Uplink, Trust, SecretKey) {
        let (central, root) = (SecretKey::from_seed(&[7; 32]), SecretKey::from_seed(&[8; 32]));
        let grant = loaxa_heart::domain::authority::Grant {
            key: central.key_id(),
            public: central.public().to_string(),
            holder: "Trung tâm".to_owned(),
            account: None,
            powers: [Power::Central].into(),
            groups: ["xa".parse().unwrap()].into(),
            level: 1,
            valid_from: None,
            valid_until: None,
        };
        let trust =
            Trust { version: 1, grants: vec![grant], thresholds: Vec::new(), nesting: Default::default() };
        let key = SecretKey::from_seed(&[9; 32]);
        let outbox = Outbox::new(0, 0);
        (Uplink::new("loa-1".parse().unwrap(), key, Some(root.public()), None, outbox), trust, central)
    }

    fn hello(uplink: &Uplink, nonce: &str) -> Hello {
        Hello {
            v: VERSION,
            box_id: uplink.box_id.clone(),
            software: "test".to_owned(),
            languages: Vec::new(),
            key: None,
            epoch: loaxa_heart::domain::ids::Epoch(1),
            nonce: nonce.to_owned(),
            clock: loaxa_heart::domain::time::ClockQuality::None,
            wall: Wall(0),
            holds: Holds::default(),
            upgrade: None,
        }
    }

    fn welcome(of: &str, nonce: &str) -> Welcome {
        Welcome {
            v: VERSION,
            box_id: of.parse().unwrap(),
            nonce: nonce.to_owned(),
            time: Wall(1_800_000_000_000_000),
            upload_after_s: 0,
            media_base: "http://central/media/".to_owned(),
            authorities: None,
        }
    }

    #[test]
    fn only_the_answer_to_what_was_asked_last_tells_the_time_and_only_once() {
        let (mut uplink, trust, central) = uplink();
        let told = |uplink: &mut Uplink, nonce: &str, of: &str, by: &SecretKey| {
            let welcome = welcome(of, nonce);
            let topic = Topic::Down("loa-1".parse().unwrap(), Down::Welcome);
            uplink.read(&topic, codec::seal(&welcome, &[by]), Some(&trust)).is_ok()
        };
        assert!(!told(&mut uplink, "a", "loa-1", &central), "nothing was asked");
        let first = hello(&uplink, "a");
        uplink.connected(first);
        assert!(!told(&mut uplink, "b", "loa-1", &central));
        assert!(!told(&mut uplink, "a", "loa-2", &central));
        assert!(!told(&mut uplink, "a", "loa-1", &SecretKey::from_seed(&[6; 32])));
        assert!(told(&mut uplink, "a", "loa-1", &central));
        assert!(!told(&mut uplink, "a", "loa-1", &central), "a replay");
        let second = hello(&uplink, "c");
        uplink.connected(second);
        assert!(!told(&mut uplink, "a", "loa-1", &central), "a replay of the session before");
        assert!(told(&mut uplink, "c", "loa-1", &central));
    }

    #[test]
    fn a_centre_that_does_not_answer_is_asked_and_is_gone_after_ten_minutes() {
        let (mut uplink, trust, central) = uplink();
        let said = hello(&uplink, "a");
        uplink.connected(said);
        let (_, asked) = uplink.asked.clone().unwrap();
        let later = |s| asked + Span::secs(s);
        assert!(!uplink.wants_answer(later(900)), "the hello itself is asked again");
        let answer = |uplink: &mut Uplink, nonce: &str| {
            let welcome = welcome("loa-1", nonce);
            let topic = Topic::Down("loa-1".parse().unwrap(), Down::Welcome);
            uplink.read(&topic, codec::seal(&welcome, &[&central]), Some(&trust)).unwrap();
        };
        answer(&mut uplink, "a");
        assert!(!uplink.wants_answer(later(299)) && uplink.wants_answer(later(300)));
        assert_eq!((uplink.silent_since(later(599)), uplink.silent_since(later(600))), (None, Some(asked)));
        uplink.asked_time = Some(("b".to_owned(), later(660)));
        answer(&mut uplink, "b");
        assert_eq!((uplink.wants_answer(later(700)), uplink.silent_since(later(700))), (false, None));
        uplink.disconnected(later(710));
        assert!(!uplink.wants_answer(later(9_000)) && uplink.silent_since(later(9_000)).is_none());
    }

    #[test]
    fn a_heartbeat_tells_in_full_what_is_new_and_then_its_digest() {
        let mut told = Told::default();
        let old = Holds { trust: 1, ..Holds::default() };
        let new = Holds { trust: 2, ..Holds::default() };
        let mut in_full = |holds: &Holds, count: usize| -> String {
            let one = |_| match told.next(holds.clone()) {
                (Some(_), None) => 'F',
                (None, Some(held)) if held == holds.digest() => '.',
                other => panic!("{other:?}"),
            };
            (0..count).map(one).collect()
        };
        assert_eq!(in_full(&old, 13), "FF.........F.");
        assert_eq!(in_full(&new, 4), "FF..");
    }
}
