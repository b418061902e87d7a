//! The way of the log to central: one batch at a time, until central has it all.
//!
//! Deliberately absent: the records themselves. The shell reads them from the store when a [`Send`] says so.

use crate::domain::time::{Moment, Span};

/// Time that central has to acknowledge a batch before it is sent again, at first.
pub const ACK_WAIT_MIN: Span = Span::secs(10);

/// The longest wait between two tries.
pub const ACK_WAIT_MAX: Span = Span::secs(300);

/// Most records in a batch.
pub const RECORDS_MAX: usize = crate::wire::messages::BATCH_RECORDS_MAX;

/// Most records with which a box tells of an emergency before its turn comes.
pub const URGENT_RECORDS_MAX: u64 = 32;

/// A request to the shell: to read records from `from` on, at most [`RECORDS_MAX`] and
/// [`BATCH_BYTES_MAX`](crate::wire::messages::BATCH_BYTES_MAX), and publish them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Send {
    /// The first sequence number.
    pub from: u64,
}

/// News for the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Central welcomed the box; nothing is uploaded before `upload_after` has passed.
    Welcomed {
        upload_after: Span,
    },
    Disconnected,
    /// The last record is of an emergency: who has little else to tell does not wait for its turn.
    Urgent,
    /// The store holds records up to this number.
    Appended {
        last: u64,
    },
    /// The batch that was asked for was published up to this number, or not at all: try later.
    Published {
        upto: Option<u64>,
    },
    /// Central has everything up to and with this number. Lower than what was sent before: it lacks the rest.
    Acknowledged {
        upto: u64,
    },
    /// A new epoch began: numbers start again from 1.
    NewEpoch,
}

/// The state of the way between the box's log and central's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outbox {
    /// The last number in the store.
    last: u64,
    /// The last number that central has.
    acknowledged: u64,
    state: State,
    wait: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not connected, or not yet welcomed.
    Offline,
    /// Not before this moment.
    Resting { until: Moment },
    /// Free to send.
    Ready,
    /// Sent; the shell has not yet said up to where.
    Sending { again_at: Moment },
    /// Sent up to a number, and waiting for central.
    InFlight { upto: u64, again_at: Moment },
}

impl Outbox {
    /// Makes the outbox of a store that was just opened.
    pub const fn new(last: u64, acknowledged: u64) -> Self {
        Self { last, acknowledged, state: State::Offline, wait: ACK_WAIT_MIN }
    }

    /// Takes an input.
    pub fn handle(&mut self, now: Moment, input: Input) {
        match input {
            Input::Welcomed { upload_after } => {
                self.wait = ACK_WAIT_MIN;
                self.state = State::Resting { until: now + upload_after };
            }
            Input::Disconnected => self.state = State::Offline,
            Input::Urgent
                if matches!(self.state, State::Resting { .. }) && self.backlog() <= URGENT_RECORDS_MAX =>
            {
                self.state = State::Ready;
            }
            Input::Urgent => {}
            Input::Appended { last } => self.last = self.last.max(last),
            Input::Published { upto } => self.published(now, upto),
            Input::Acknowledged { upto } => self.acknowledged(upto),
            Input::NewEpoch => {
                (self.last, self.acknowledged) = (0, 0);
                if self.state != State::Offline {
                    self.state = State::Ready;
                }
            }
        }
    }

    const fn backlog(&self) -> u64 {
        self.last.saturating_sub(self.acknowledged)
    }

    fn published(&mut self, now: Moment, upto: Option<u64>) {
        let State::Sending { again_at } = self.state else { return };
        self.state = match upto {
            Some(upto) => State::InFlight { upto, again_at },
            None => State::Resting { until: now + self.wait },
        };
    }

    fn acknowledged(&mut self, upto: u64) {
        if upto > self.last {
            return;
        }
        match self.state {
            State::InFlight { upto: sent, .. } if upto >= sent => {
                self.acknowledged = upto;
                self.wait = ACK_WAIT_MIN;
                self.state = State::Ready;
            }
            // Central stands earlier than the batch begins: it lost what it had, or never had it.
            State::InFlight { .. } if upto < self.acknowledged => {
                self.acknowledged = upto;
                self.state = State::Ready;
            }
            _ => self.acknowledged = self.acknowledged.max(upto),
        }
    }

    /// Returns when [`Outbox::poll_send`] is worth asking again without any input.
    pub const fn poll_timeout(&self) -> Option<Moment> {
        match self.state {
            _ if self.acknowledged >= self.last => None,
            State::Resting { until } => Some(until),
            State::Sending { again_at } | State::InFlight { again_at, .. } => Some(again_at),
            State::Offline | State::Ready => None,
        }
    }

    /// Returns what is to be sent now. The shell answers with [`Input::Published`].
    pub fn poll_send(&mut self, now: Moment) -> Option<Send> {
        if self.acknowledged >= self.last || !self.may_send(now) {
            return None;
        }
        self.state = State::Sending { again_at: now + self.wait };
        self.wait = Span((self.wait.0 * 2).min(ACK_WAIT_MAX.0));
        Some(Send { from: self.acknowledged + 1 })
    }

    fn may_send(&self, now: Moment) -> bool {
        match self.state {
            State::Offline => false,
            State::Ready => true,
            State::Resting { until } => until <= now,
            State::Sending { again_at } | State::InFlight { again_at, .. } => again_at <= now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Input::*;
    use super::*;

    /// Seconds, what happens then, and what is sent.
    fn check(last: u64, acknowledged: u64, steps: &[(u64, Option<Input>, Option<u64>)]) {
        let mut outbox = Outbox::new(last, acknowledged);
        for (n, (second, input, expected)) in steps.iter().enumerate() {
            let now = Moment(0) + Span::secs(*second);
            input.iter().for_each(|input| outbox.handle(now, *input));
            let sent = outbox.poll_send(now).map(|send| send.from);
            assert_eq!(sent, *expected, "step {n}");
        }
    }

    const WELCOMED: Option<Input> = Some(Welcomed { upload_after: Span::secs(3) });

    #[test]
    fn one_batch_after_the_other() {
        check(
            300,
            0,
            &[
                (0, Some(Appended { last: 310 }), None),
                (1, WELCOMED, None),
                (3, None, None),
                (4, None, Some(1)),
                (4, Some(Published { upto: Some(200) }), None),
                (5, Some(Appended { last: 320 }), None),
                (6, Some(Acknowledged { upto: 200 }), Some(201)),
                (6, Some(Published { upto: Some(320) }), None),
                (7, Some(Acknowledged { upto: 200 }), None),
                (8, Some(Acknowledged { upto: 320 }), None),
                (9, Some(Appended { last: 321 }), Some(321)),
            ],
        );
    }

    #[test]
    fn word_of_an_emergency_waits_for_no_turn_behind_a_short_log() {
        let long = 2 + URGENT_RECORDS_MAX;
        let emergency = |last, sent| {
            let steps = [
                (0, Some(Urgent), None),
                (1, WELCOMED, None),
                (2, Some(Appended { last }), None),
                (2, Some(Urgent), sent),
            ];
            check(2, 2, &steps);
        };
        emergency(2, None);
        emergency(3, Some(3));
        emergency(long, Some(3));
        emergency(long + 1, None);
    }

    #[test]
    fn without_an_answer_it_is_sent_again_ever_more_slowly() {
        check(
            5,
            2,
            &[
                (0, WELCOMED, None),
                (3, None, Some(3)),
                (3, Some(Published { upto: Some(5) }), None),
                (12, None, None),
                (13, None, Some(3)),
                (13, Some(Published { upto: None }), None),
                (33, None, None),
                (53, None, Some(3)),
                (60, Some(Disconnected), None),
                (900, None, None),
                (901, WELCOMED, None),
                (904, None, Some(3)),
                // A new connection begins with the shortest wait.
                (904, Some(Published { upto: Some(5) }), None),
                (914, None, Some(3)),
            ],
        );
        let mut outbox = Outbox::new(1, 0);
        let mut now = Moment(0);
        outbox.handle(now, Welcomed { upload_after: Span(0) });
        let mut waits = Vec::new();
        for _ in 0..8 {
            assert!(outbox.poll_send(now).is_some());
            let next = outbox.poll_timeout().unwrap();
            waits.push(next.since(now).as_millis() / 1_000);
            now = next;
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300, 300]);
    }

    #[test]
    fn central_may_lack_what_it_once_had_and_never_has_what_was_not_sent() {
        check(
            9,
            5,
            &[
                (0, WELCOMED, None),
                (3, None, Some(6)),
                (3, Some(Published { upto: Some(9) }), None),
                (4, Some(Acknowledged { upto: 99 }), None),
                (4, Some(Acknowledged { upto: 0 }), Some(1)),
                (4, Some(Published { upto: Some(9) }), None),
                (5, Some(Acknowledged { upto: 9 }), None),
                (6, Some(NewEpoch), None),
                (7, Some(Appended { last: 1 }), Some(1)),
            ],
        );
        // An epoch that begins while there is no connection is not sent without one.
        check(
            9,
            5,
            &[
                (0, Some(NewEpoch), None),
                (1, Some(Appended { last: 1 }), None),
                (2, WELCOMED, None),
                (5, None, Some(1)),
            ],
        );
    }
}
