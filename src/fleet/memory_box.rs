//! One box in memory: what its daemon would do, without loudspeaker, and with a disk that is memory, too.

use std::collections::VecDeque;
use std::sync::Arc;

use super::account::Account;
use super::disk::Disk;
use super::programmes::Programmes;
use super::site::{Release, Site};
use loaxa_adapters::clock::{Clock, LastKnown, monotonic};
use loaxa_adapters::mqtt::{Link, LinkEvent};
use loaxa_adapters::uplink::{Arrived, Uplink};
use loaxa_heart::decide::outbox::{self, Outbox};
use loaxa_heart::decide::schedule::{Listeners, Timetable};
use loaxa_heart::decide::simulation::player::SimulatedPlayer;
use loaxa_heart::decide::speaker::{Action, Input, Speaker};
use loaxa_heart::decide::versions::{self, Edition};
use loaxa_heart::domain::authority::Trust;
use loaxa_heart::domain::ids::{CommandId, Epoch, GroupId, KeyId};
use loaxa_heart::domain::playback::{CommandRefusal, DeliveryStep, Entry, Event};
use loaxa_heart::domain::policy::Policy;
use loaxa_heart::domain::sound::Sound;
use loaxa_heart::domain::time::{Moment, Span, Wall};
use loaxa_heart::wire::chain;
use loaxa_heart::wire::messages::{
    BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Body, Command, Heartbeat, Hello, Holds, LogAck, LogBatch, LogRecord,
    OnAir, Signed, VERSION, commands_digest,
};
use loaxa_heart::wire::topics::Topic;

/// Records that wait for central; the oldest are lost beyond that.
const WAITING_MAX: usize = 4_096;

/// Commands of which a box knows that they came.
const ARRIVED_MAX: usize = 32;

/// A release that said less in its hello.
const OLDER_RELEASE: &str = "0.0.9";

/// A box without loudspeaker, whose disk is memory.
pub struct MemoryBox {
    site: Site,
    account: Arc<Account>,
    clock: Clock,
    speaker: Speaker,
    player: SimulatedPlayer,
    disk: Disk,
    /// The command that the heart is about to take in.
    arriving: Option<Signed<Command>>,
    uplink: Uplink,
    programmes: Programmes,
    /// Versions of the groups and of the prepared messages, and those who signed them.
    groups: (u32, Vec<KeyId>),
    prepared: (u32, Vec<KeyId>),
    /// Version of the order to run a release, which a box in memory only keeps, and those who signed it.
    software: (u32, Vec<KeyId>),
    epoch: Epoch,
    /// The end of the log's chain.
    last: chain::Link,
    /// The part of the log that central has not acknowledged.
    waiting: VecDeque<LogRecord>,
    /// The commands that came last, with their issue: they may come again.
    arrived: VecDeque<(CommandId, Wall)>,
    /// The records that say of a command that it was received, as long as central has not acknowledged them.
    untold: Vec<(u64, CommandId)>,
}

impl MemoryBox {
    /// Makes a box that was just switched on.
    pub fn new(site: Site, epoch: Epoch, account: Arc<Account>) -> Self {
        let clock = Clock::new(LastKnown::default(), true);
        let listeners = Listeners { groups: site.groups.iter().cloned().collect(), languages: Vec::new() };
        let now = clock.read();
        let trust = Some(Trust::clone(&site.trust));
        let mut disk = Disk::default();
        let (timetable, limits) = (Timetable::default(), Policy::default());
        let speaker = Speaker::new(disk.restore(), listeners, timetable, trust, limits, &now);
        let last = site.log.map_or(chain::Link::FIRST, |(_, end)| end);
        let told = last.seq - 1;
        Self {
            uplink: uplink(&site, Outbox::new(told, told)),
            site,
            account,
            clock,
            speaker,
            player: SimulatedPlayer::default(),
            disk,
            arriving: None,
            programmes: Programmes::default(),
            groups: (0, Vec::new()),
            prepared: (0, Vec::new()),
            software: (0, Vec::new()),
            epoch,
            last,
            waiting: VecDeque::new(),
            arrived: VecDeque::new(),
            untold: Vec::new(),
        }
    }

    /// Gives the box a way to the broker, or takes it away.
    pub fn join(&mut self, link: Option<Link>) {
        let is_cut = link.is_none();
        self.uplink.join(link);
        if is_cut {
            self.lost();
        }
    }

    /// Takes the power away, and gives it back: what is not on the disk is gone.
    pub fn restart(&mut self) {
        let now = self.clock.read();
        self.player.lose_power(now.mono);
        self.arriving = None;
        let waiting = self.waiting.len() as u64;
        let last = self.last.seq - 1;
        self.uplink = uplink(&self.site, Outbox::new(last, last - waiting));
        let (listeners, limits) = (self.speaker.listeners().clone(), self.speaker.policy().clone());
        let timetable = self.programmes.timetable(&listeners.groups).unwrap_or_default();
        let trust = self.speaker.trust().cloned();
        self.speaker = Speaker::new(self.disk.restore(), listeners, timetable, trust, limits, &now);
        self.carry_out();
    }

    /// Returns the groups that the box listens to now.
    pub fn groups(&self) -> Vec<GroupId> {
        self.speaker.listeners().groups.iter().cloned().collect()
    }

    /// Returns when something is to be done even if nothing arrives.
    pub fn wakes(&self) -> Option<Moment> {
        let speaker = self.speaker.poll_timeout().map(|(moment, _)| moment);
        [speaker, self.player.wakes(), self.uplink.poll_timeout()].into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn on_time(&mut self) {
        let now = self.clock.read();
        while let Some(event) = self.player.poll(now.mono) {
            self.tell(Input::Player(event));
        }
        // Nobody asks what was heard.
        drop(self.player.take_heard());
        if self.speaker.poll_timeout().is_some_and(|(at, _)| at <= now.mono) {
            self.speaker.handle_timeout(&now);
        }
        self.carry_out();
    }

    /// Takes what the link tells.
    pub fn on_link(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Connected => {
                self.account.connected();
                self.introduce();
            }
            LinkEvent::Disconnected { .. } => self.lost(),
            LinkEvent::Refused { .. } => {}
            LinkEvent::Message { topic, bytes } => self.on_message(&topic, bytes),
        }
    }

    fn lost(&mut self) {
        if self.uplink.is_connected() {
            self.account.disconnected();
        }
        self.uplink.disconnected(monotonic());
    }

    fn introduce(&mut self) {
        let now = self.clock.read();
        self.uplink.connected(Hello {
            v: VERSION,
            box_id: self.site.id.clone(),
            software: match self.site.release {
                Release::Own => env!("CARGO_PKG_VERSION").to_owned(),
                Release::Older => OLDER_RELEASE.to_owned(),
            },
            languages: Vec::new(),
            key: Some(self.uplink.public_key()),
            epoch: self.epoch,
            nonce: format!("{:016x}", random()),
            clock: now.quality,
            wall: now.wall,
            holds: self.holds(),
            upgrade: None,
        });
    }

    fn holds(&self) -> Holds {
        Holds {
            commands: commands_digest(self.speaker.in_force(&self.clock.read())),
            programmes: self.programmes.versions(),
            trust: self.speaker.trust().map_or(0, |trust| trust.version),
            policy: self.speaker.policy().version,
            groups: self.groups.0,
            prepared: self.prepared.0,
            prepared_missing: 0,
            software: self.software.0,
            local_emergency: self.speaker.local_version(),
        }
    }

    fn on_message(&mut self, topic: &Topic, bytes: Vec<u8>) {
        match self.uplink.read(topic, bytes, self.speaker.trust()) {
            Ok(None | Some(Arrived::Certificate(_))) => {}
            Ok(Some(Arrived::Welcome { welcome, asked })) => {
                self.account.welcomed(monotonic().since(asked));
                let upload_after = Span::secs(u64::from(welcome.upload_after_s));
                self.uplink.outbox.handle(monotonic(), outbox::Input::Welcomed { upload_after });
                self.learn(welcome.time, asked);
            }
            Ok(Some(Arrived::Time { time, asked })) => self.learn(time, asked),
            Ok(Some(Arrived::Acknowledged(ack))) => self.on_ack(&ack),
            Ok(Some(Arrived::Trust { message, .. })) => self.tell(Input::Trust(message.trust)),
            Ok(Some(Arrived::Command { signed, .. })) => {
                self.note_arrival(&signed.payload);
                let is_urgent = signed.payload.is_urgent();
                self.arriving = Some(Signed::clone(&signed));
                self.tell(Input::Command(signed));
                self.arriving = None;
                self.uplink.command_taken(monotonic(), is_urgent);
            }
            Err(reason) => {
                self.account.refused();
                self.tell(Input::Refused { command: None, reason });
            }
        }
    }

    /// Tells the account of a command that comes for the first time.
    fn note_arrival(&mut self, command: &Command) {
        if self.arrived.iter().any(|(known, _)| *known == command.id) {
            return;
        }
        if self.arrived.len() >= ARRIVED_MAX {
            self.arrived.pop_front();
        }
        self.arrived.push_back((command.id.clone(), command.issued_at));
        self.account.arrived(&command.id, self.clock.read().wall.since(command.issued_at));
    }

    fn learn(&mut self, time: Wall, asked: Moment) {
        if self.clock.learn(time, asked, monotonic()) {
            self.tell(Input::ClockChanged);
        }
    }

    fn on_ack(&mut self, ack: &LogAck) {
        if ack.epoch != self.epoch {
            return;
        }
        if ack.forked {
            self.account.forked();
        }
        let before = self.waiting.len();
        self.waiting.retain(|record| record.seq > ack.contiguous_upto);
        self.account.acknowledged((before - self.waiting.len()) as u64);
        let now = self.clock.read().wall;
        for (_, of) in self.untold.extract_if(.., |(seq, _)| *seq <= ack.contiguous_upto) {
            if let Some((_, issued)) = self.arrived.iter().find(|(id, _)| *id == of) {
                self.account.told(&of, now.since(*issued));
            }
        }
        let upto = ack.contiguous_upto;
        self.uplink.outbox.handle(monotonic(), outbox::Input::Acknowledged { upto });
        self.send_log();
    }

    fn tell(&mut self, input: Input) {
        self.speaker.handle(&self.clock.read(), input);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        while let Some(action) = self.speaker.poll_action() {
            match action {
                Action::Log(entry) => self.append(entry),
                Action::Player(command) => {
                    let length = |sound: &Sound| self.programmes.length(sound);
                    self.player.command(monotonic(), command, &length);
                }
                Action::Fetch { media, .. } => {
                    self.programmes.learn(&media);
                    self.disk.keep_media(media.sha256);
                    let fetched = Input::Fetched { sha256: media.sha256, result: Ok(()) };
                    self.speaker.handle(&self.clock.read(), fetched);
                }
                Action::Adopt(signed) => {
                    self.disk.keep_document(&signed);
                    self.adopt(&signed);
                }
                Action::Remember(memo) => self.disk.remember(&memo),
                Action::Keep(id) => {
                    let arriving = self.arriving.as_ref().filter(|signed| signed.payload.id == id);
                    if let Some(signed) = arriving {
                        self.disk.keep_command(signed);
                    }
                }
                Action::Forget(id) => self.disk.forget_command(&id),
                Action::Checkpoint(play) => {
                    if let Some(position) = self.player.position(monotonic(), play) {
                        self.disk.keep_position(play, position);
                    }
                }
            }
        }
        self.send_log();
    }

    fn append(&mut self, entry: Entry) {
        let mut received = None;
        if let Event::Delivery { command, step } = &entry.event {
            self.account.delivered(&self.site.id, command, step);
            received = (*step == DeliveryStep::Received).then(|| command.clone());
        }
        let Ok(record) = self.last.record(&self.site.id, self.epoch, entry) else { return };
        self.last = chain::Link::after(record.seq, &record.body);
        self.uplink.outbox.handle(monotonic(), outbox::Input::Appended { last: record.seq });
        self.account.recorded(&self.site.id, self.epoch, self.last);
        self.untold.extend(received.map(|command| (record.seq, command)));
        self.waiting.push_back(record);
        if self.waiting.len() > WAITING_MAX {
            self.waiting.pop_front();
        }
    }

    fn send_log(&mut self) {
        let now = monotonic();
        while let Some(send) = self.uplink.outbox.poll_send(now) {
            let mut bytes = 0;
            let due = self.waiting.iter().filter(|record| record.seq >= send.from).take(BATCH_RECORDS_MAX);
            let fits = due.take_while(|record| {
                bytes += record.body.len();
                bytes <= BATCH_BYTES_MAX
            });
            let records: Vec<_> = fits.cloned().collect();
            let oldest = self.waiting.front().map_or(self.last.seq, |record| record.seq);
            let (box_id, epoch) = (self.site.id.clone(), self.epoch);
            let batch = LogBatch { v: VERSION, box_id, epoch, oldest, records, head: None };
            self.uplink.send_batch(now, batch);
        }
        if self.uplink.heartbeat_is_due(now) && self.uplink.welcome_is_missing(now) {
            self.introduce();
        } else if self.uplink.heartbeat_is_due(now) {
            let (heartbeat, holds) = (self.heartbeat(), self.holds());
            self.uplink.heartbeat(now, heartbeat, holds);
            self.account.heartbeat();
        }
    }

    fn heartbeat(&self) -> Heartbeat {
        let now = self.clock.read();
        let asks = self.clock.wants_time() || self.uplink.wants_answer(now.mono);
        Heartbeat {
            v: VERSION,
            wall: now.wall,
            clock: now.quality,
            nonce: asks.then(|| format!("{:016x}", random())),
            on_air: self.speaker.on_air().map(|(play, title, _)| OnAir { play, title: title.to_owned() }),
            holds: None,
            held: None,
            backlog: self.waiting.len() as u64,
            faults: Vec::new(),
            usage: None,
            upgrade: None,
        }
    }

    /// Puts the document of a command in force.
    fn adopt(&mut self, signed: &Signed<Command>) {
        let adopted = match self.put_in_force(signed) {
            Ok(Some((what, version))) => Input::Noted(Box::new(Event::Adopted { what, version })),
            Ok(None) => return,
            Err(reason) => {
                self.account.refused();
                Input::Refused { command: Some(signed.payload.id.clone()), reason }
            }
        };
        self.speaker.handle(&self.clock.read(), adopted);
    }

    fn put_in_force(&mut self, signed: &Signed<Command>) -> Result<Option<(String, u32)>, CommandRefusal> {
        match &signed.payload.body {
            Body::Programme { programme, version, toml, media } => {
                self.check_newer(&self.programmes.held(programme), signed, *version)?;
                let groups = self.speaker.listeners().groups.clone();
                let sent = (*version, toml.as_str());
                let adopted = self.programmes.adopt(programme, sent, media, &signed.signers, &groups);
                let timetable = adopted.map_err(|detail| CommandRefusal::Impossible { detail })?;
                self.speaker.handle(&self.clock.read(), Input::Timetable(timetable));
                Ok(Some((format!("programme {programme}"), *version)))
            }
            Body::Groups { version, members } => {
                self.check_newer(&self.groups, signed, *version)?;
                if let Some(groups) = members.get(&self.site.id) {
                    self.move_to(groups);
                }
                self.groups = (*version, signed.signers.clone());
                Ok(Some(("groups".to_owned(), *version)))
            }
            Body::Prepared { version, .. } => {
                self.check_newer(&self.prepared, signed, *version)?;
                self.prepared = (*version, signed.signers.clone());
                Ok(Some(("prepared".to_owned(), *version)))
            }
            Body::Software(order) => {
                self.check_newer(&self.software, signed, order.version)?;
                self.software = (order.version, signed.signers.clone());
                Ok(Some(("software".to_owned(), order.version)))
            }
            Body::Policy(_)
            | Body::LocalEmergency { .. }
            | Body::Announce { .. }
            | Body::Cancel { .. }
            | Body::Live { .. }
            | Body::Test => Ok(None),
        }
    }

    fn check_newer(
        &self,
        held: &(u32, Vec<KeyId>),
        signed: &Signed<Command>,
        offered: u32,
    ) -> Result<(), CommandRefusal> {
        let held = Edition { version: held.0, signers: &held.1 };
        let offered = Edition { version: offered, signers: &signed.signers };
        versions::check_newer(self.speaker.trust(), signed.payload.power(), held, offered)
    }

    fn move_to(&mut self, groups: &[GroupId]) {
        let listeners =
            Listeners { groups: groups.iter().cloned().collect(), ..self.speaker.listeners().clone() };
        self.uplink.listen_to(groups);
        if let Ok(timetable) = self.programmes.timetable(&listeners.groups) {
            self.speaker.handle(&self.clock.read(), Input::Timetable(timetable));
        }
        self.speaker.handle(&self.clock.read(), Input::Listeners(listeners));
    }
}

fn uplink(site: &Site, outbox: Outbox) -> Uplink {
    Uplink::new(site.id.clone(), site.key.clone(), Some(site.root), None, outbox)
}

/// Draws a random number from the system.
pub fn random() -> u64 {
    getrandom::u64().expect("the system gives randomness")
}

#[cfg(test)]
mod tests {
    use super::*;
    use loaxa_heart::domain::authority::{Grant, Power};
    use loaxa_heart::domain::ids::BoxId;
    use loaxa_heart::wire::codec;
    use loaxa_heart::wire::signing::SecretKey;
    use loaxa_heart::wire::topics::Down;

    #[test]
    fn a_centre_that_calls_a_log_forked_is_counted() {
        let central = SecretKey::from_seed(&[1; 32]);
        let id: BoxId = "loa-1".parse().unwrap();
        let grant = Grant {
            key: central.key_id(),
            public: central.public().to_string(),
            holder: "central".to_owned(),
            account: None,
            powers: [Power::Central].into(),
            groups: ["xa".parse().unwrap()].into(),
            level: 1,
            valid_from: None,
            valid_until: None,
        };
        let trust =
            Trust { version: 1, grants: vec![grant], thresholds: Vec::new(), nesting: Default::default() };
        let site = Site {
            id: id.clone(),
            groups: Vec::new(),
            key: SecretKey::from_seed(&[2; 32]),
            root: central.public(),
            trust: Arc::new(trust),
            log: None,
            release: Release::Own,
        };
        let account = Arc::<Account>::default();
        let mut one = MemoryBox::new(site, Epoch(7), Arc::clone(&account));
        let mut acknowledge = |forked: bool| {
            let ack = LogAck { v: VERSION, epoch: Epoch(7), contiguous_upto: 0, forked };
            let topic = Topic::Down(id.clone(), Down::LogAck);
            one.on_link(LinkEvent::Message { topic, bytes: codec::seal(&ack, &[&central]) });
            account.counts().forked
        };
        assert_eq!([false, true, true].map(&mut acknowledge), [0, 1, 2]);
    }
}
