//! The daemon's talk with central: the log on its way home, heartbeats, and what arrives.

use super::restore::{TRUST, media_of};
use super::start::random;
use super::{Daemon, FAULT_CERTIFICATE, offset};
use loaxa_adapters::box_store::Change;
use loaxa_adapters::clock::monotonic;
use loaxa_adapters::mqtt::LinkEvent;
use loaxa_adapters::uplink::Arrived;
use loaxa_heart::decide::outbox;
use loaxa_heart::decide::speaker::Input;
use loaxa_heart::domain::ids::CommandId;
use loaxa_heart::domain::playback::{CommandRefusal, Event};
use loaxa_heart::domain::time::{ClockQuality, Moment, Reading, Span, Wall};
use loaxa_heart::wire::messages::{
    BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Command, Heartbeat, Hello, Holds, LogAck, LogBatch, OnAir, Signed,
    Usage, VERSION, Welcome, commands_digest,
};
use loaxa_heart::wire::renewal::Renewed;
use loaxa_heart::wire::topics::Topic;

const MIB: u64 = 1 << 20;

impl Daemon {
    /// Sends the part of the log that is due, and the heartbeat where it is due.
    pub(super) fn send_log(&mut self) {
        let now = monotonic();
        while let Some(send) = self.uplink.outbox.poll_send(now) {
            let records = self.store.pending(send.from, BATCH_RECORDS_MAX, BATCH_BYTES_MAX);
            let oldest = self.store.oldest();
            let (Ok(records), Ok(oldest)) = (records, oldest) else {
                self.uplink.outbox.handle(now, outbox::Input::Published { upto: None });
                break;
            };
            let (box_id, epoch) = (self.box_id.clone(), self.store.epoch());
            let batch = LogBatch { v: VERSION, box_id, epoch, oldest, records, head: None };
            self.uplink.send_batch(now, batch);
        }
        if self.uplink.heartbeat_is_due(now) && self.uplink.welcome_is_missing(now) {
            self.introduce();
        } else if self.uplink.heartbeat_is_due(now) {
            if let Some(since) = self.uplink.silent_since(now) {
                self.out_of_contact(since);
            }
            let (heartbeat, holds) = (self.heartbeat(), self.holds());
            self.uplink.heartbeat(now, heartbeat, holds);
        }
    }

    pub(super) fn holds(&self) -> Holds {
        Holds {
            commands: commands_digest(self.speaker.in_force(&self.clock.read())),
            programmes: self.programmes.versions(),
            trust: self.speaker.trust().map_or(0, |trust| trust.version),
            policy: self.speaker.policy().version,
            groups: self.groups_version,
            prepared: self.prepared.version,
            prepared_missing: self.prepared_missing(),
            software: self.upgrade.in_force().0,
            local_emergency: self.speaker.local_version(),
        }
    }

    fn heartbeat(&self) -> Heartbeat {
        let now = self.clock.read();
        let on_air = self.speaker.on_air();
        let asks = self.clock.wants_time() || self.uplink.wants_answer(now.mono);
        Heartbeat {
            v: VERSION,
            wall: now.wall,
            clock: now.quality,
            nonce: asks.then(random).and_then(Result::ok).map(|it| format!("{it:016x}")),
            on_air: on_air.map(|(play, title, _)| OnAir { play, title: title.to_owned() }),
            holds: None,
            held: None,
            backlog: self.store.backlog(),
            faults: self.faults.iter().map(|fault| (*fault).to_owned()).collect(),
            usage: self
                .downloads
                .free()
                .map(|free| Usage { disk_free_mib: free / MIB, month_mib: self.downloads.used() / MIB }),
            upgrade: self.upgrade.told(),
        }
    }

    pub(super) fn on_link(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Connected => self.introduce(),
            LinkEvent::Disconnected { reason } => {
                if self.uplink.is_connected() {
                    tracing::warn!(reason, "central is out of reach; the programme goes on");
                }
                self.uplink.disconnected(monotonic());
                self.out_of_contact(monotonic());
            }
            LinkEvent::Refused { reason } => tracing::warn!(reason, "the broker refused something"),
            LinkEvent::Message { topic, bytes } => self.on_message(&topic, bytes),
        }
    }

    fn introduce(&mut self) {
        let Ok(random) = random() else { return };
        let now = self.clock.read();
        self.uplink.connected(Hello {
            v: VERSION,
            box_id: self.box_id.clone(),
            software: self.upgrade.release().to_string(),
            languages: self.speaker.listeners().languages.clone(),
            key: Some(self.uplink.public_key()),
            epoch: self.store.epoch(),
            nonce: format!("{random:016x}"),
            clock: now.quality,
            wall: now.wall,
            holds: self.holds(),
            upgrade: self.upgrade.told(),
        });
    }

    pub(super) fn on_message(&mut self, topic: &Topic, bytes: Vec<u8>) {
        match self.uplink.read(topic, bytes, self.speaker.trust()) {
            Ok(None) => {}
            Ok(Some(Arrived::Welcome { welcome, asked })) => self.on_welcome(welcome, asked),
            Ok(Some(Arrived::Time { time, asked })) => {
                self.in_contact();
                self.on_time_told(time, asked);
            }
            Ok(Some(Arrived::Acknowledged(ack))) => self.on_ack(&ack),
            Ok(Some(Arrived::Trust { message, envelope })) => {
                let before = self.speaker.trust().map(|trust| trust.version);
                self.tell(Input::Trust(message.trust));
                if self.speaker.trust().map(|trust| trust.version) != before {
                    let name = TRUST.to_owned();
                    self.commit(&mut vec![Change::KeepDocument { name, envelope: Some(envelope) }]);
                    self.drop_what_lost_authority();
                }
            }
            Ok(Some(Arrived::Certificate(renewed))) => self.on_certificate(&renewed),
            Ok(Some(Arrived::Command { signed, envelope })) => self.on_command(*signed, envelope),
            Err(reason) => self.refuse(None, reason),
        }
    }

    /// Asks for another certificate in time, and tells where the one there is has ended.
    pub(super) fn mind_certificate(&mut self, now: &Reading) {
        if now.quality == ClockQuality::None {
            return;
        }
        self.set_fault(FAULT_CERTIFICATE, self.certificate.is_over(now.wall));
        if !self.uplink.is_connected() {
            return;
        }
        if let Some(asked) = self.certificate.ask(&self.box_id, now.mono, now.wall) {
            tracing::info!("a new certificate is asked for");
            self.uplink.ask_for_certificate(&asked);
        }
    }

    fn on_certificate(&mut self, renewed: &Renewed) {
        match self.certificate.take(renewed) {
            Ok(true) => {
                tracing::info!("the box has a new certificate, or new authorities");
                self.uplink.reconnect();
            }
            Ok(false) => tracing::warn!("a certificate came that was not asked for, or is no better"),
            Err(error) => tracing::error!(%error, "the new certificate can't be kept"),
        }
    }

    fn refuse(&mut self, command: Option<CommandId>, reason: CommandRefusal) {
        self.tell(Input::Refused { command, reason });
    }

    fn on_command(&mut self, signed: Signed<Command>, envelope: Vec<u8>) {
        // Audio that came with something else is no reason to wait, or to sound a siren in its place.
        if let Some(sha256) = media_of(&signed).filter(|sha256| self.downloads.claim(sha256)) {
            self.tell(Input::Fetched { sha256, result: Ok(()) });
        }
        let is_urgent = signed.payload.is_urgent();
        self.arriving.insert(signed.payload.id.clone(), envelope);
        self.tell(Input::Command(Box::new(signed)));
        self.arriving.clear();
        self.uplink.command_taken(monotonic(), is_urgent);
    }

    fn on_welcome(&mut self, welcome: Welcome, asked: Moment) {
        self.upgrade.health.contact = true;
        self.in_contact();
        self.downloads.set_base(welcome.media_base);
        self.certificate.hear_of_authorities(welcome.authorities);
        let upload_after = Span::secs(u64::from(welcome.upload_after_s));
        self.uplink.outbox.handle(monotonic(), outbox::Input::Welcomed { upload_after });
        self.on_time_told(welcome.time, asked);
    }

    fn on_time_told(&mut self, time: Wall, asked: Moment) {
        if !self.clock.learn(time, asked, monotonic()) {
            return;
        }
        let now = self.clock.read();
        self.downloads.set_clock(now);
        (self.last_quality, self.last_offset) = (now.quality, offset(&now));
        self.tell(Input::ClockChanged);
    }

    fn on_ack(&mut self, ack: &LogAck) {
        if ack.epoch != self.store.epoch() {
            return;
        }
        if ack.forked {
            match self.store.begin_epoch() {
                Ok(kept_as) => {
                    self.uplink.outbox.handle(monotonic(), outbox::Input::NewEpoch);
                    return self.tell(Input::Noted(Box::new(Event::StoreReplaced { kept_as })));
                }
                Err(error) => tracing::error!(%error, "no new epoch can be begun"),
            }
        }
        match self.store.acknowledge(ack.epoch, ack.contiguous_upto) {
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "an acknowledgement can't be written"),
        }
        let upto = ack.contiguous_upto;
        self.uplink.outbox.handle(monotonic(), outbox::Input::Acknowledged { upto });
        self.send_log();
    }
}
