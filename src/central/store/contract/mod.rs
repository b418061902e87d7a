//! The promises of the store, as tests that any implementation runs.

mod alarms;
mod alerts;
mod boxes;
mod calls;
#[allow(dead_code, reason = "tests of the whole stop and start it too")]
#[path = "../../../../tests/support/postgres.rs"]
pub(super) mod cluster;
mod commands;
mod days;
mod deliveries;
mod drafts;
mod enrolment;
mod feedback;
mod health;
mod keeping;
mod later;
mod log;
mod media;
mod notices;
mod places;
mod plays;
mod proposals;
mod rollouts;
mod server;
mod tokens;
mod troubles;

use super::*;
use crate::settings::BoxDeclared;
use loaxa_heart::decide::delivery::{CommandKind, DocumentName, Step};
use loaxa_heart::decide::plausible;
use loaxa_heart::domain::announcement::{BulletinClass, Mode, Rung};
use loaxa_heart::domain::ids::{BoxId, CommandId, ContentHash, Epoch, GroupId, KeyId, PlayId};
use loaxa_heart::domain::playback::{
    DeliveryStep, Entry, Event, NotPlayed, PlayEnd, PlayOutcome, PlayStart, SlotKey, SlotOutcome, Stamp,
    Subject,
};
use loaxa_heart::domain::time::{ClockQuality, Span, Wall};
use loaxa_heart::wire::chain;
use loaxa_heart::wire::messages::{Holds, Usage, commands_digest};
use loaxa_heart::wire::signing::SIGNATURE_BYTES;

/// Gives every promise, by subject, to another macro, after what is written before them.
macro_rules! promises {
    ($then:ident! $($before:tt)*) => {
        $then! {
            $($before)*;
            boxes { a_box_keeps_the_key_that_came_first signs_of_life_are_kept_in_their_order the_words_of_a_hello_count_behind_a_later_sign }
            enrolment { a_code_is_used_up_by_one_of_two who_is_shut_out_stays_out_until_enrolled_anew }
            log { a_log_is_taken_once_in_turn a_fork_is_seen_and_a_gap_is_said no_date_loses_or_doubles_an_entry a_months_end_and_centrals_own_clock_lose_and_double_nothing no_sign_in_an_entry_keeps_it_out anchors_come_page_by_page_of_so_many_bytes }
            plays { a_play_ends_once_with_its_outcome plays_under_an_unknown_clock_are_dated_anew what_did_not_sound_has_its_reason a_slot_that_did_not_sound_is_shown_and_reported_until_it_sounds }
            commands { serials_are_given_once a_command_is_kept_once of_two_documents_of_one_version_one_is_kept boxes_move_with_the_document_that_moves_them }
            deliveries { deliveries_go_forward }
            days { what_was_read_before_the_last_reason_changes_nothing a_day_that_is_over_is_supplemented_by_a_late_log the_last_day_kept_is_none_of_a_clock_that_was_ahead what_sounds_late_is_of_the_day_on_which_it_was_due the_last_word_on_a_slot_counts silence_is_known_up_to_the_last_word_of_a_box_that_keeps_nothing_back what_a_box_lost_of_its_log_is_no_silence entries_have_the_days_reckoned_that_they_tell_of announcements_have_their_boxes_reckoned_when_they_are_due_and_over a_village_is_called_as_it_was_last }
            drafts { drafts_and_signatures_have_room_for_so_many }
            alerts { an_alert_is_taken_once a_part_of_an_alert_is_said_once_by_who_sends_it what_is_passed_over_is_counted_by_its_reason }
            media { media_are_described_once words_are_found_in_any_number_of_files }
            calls { a_call_takes_each_step_once a_person_is_called_once_and_letters_are_tried_until_they_are_sent a_message_is_replaced_once }
            alarms { alarms_are_counted_and_bounded }
            tokens { a_token_is_good_until_it_is_revoked a_token_ends_with_the_account_of_its_owner }
            troubles { a_trouble_is_opened_once_taken_once_and_has_an_end a_strangers_trouble_comes_again_only_with_a_new_sight }
            proposals { of_two_editors_one_is_told_and_nobody_approves_what_they_wrote }
            rollouts { only_the_newest_rollout_moves_and_from_where_it_was_seen an_upgrade_is_told_since_it_was_first_said }
            notices { notices_are_found_by_their_time_and_their_audio }
            places { what_staff_say_of_places_is_kept }
            feedback { words_are_answered_once_and_counted an_event_waits_for_each_receiver_of_its_kind an_emergency_is_told_when_it_begins_and_when_it_is_over }
            keeping { a_log_loses_its_beginning_and_goes_on months_go_up_to_what_boxes_signed what_arrived_under_a_clock_that_began_anew_is_as_old_as_what_came_next the_audit_trail_goes_after_a_year_at_least words_go_after_their_answer_and_are_counted_still audio_goes_when_nothing_names_it orders_go_when_they_are_over_and_nothing_names_them what_was_sent_out_goes_and_what_is_to_be_sent_stays a_rule_is_kept_and_the_room_is_measured }
            health { hours_of_health_are_counted_and_forgotten }
        }
    };
}

/// Makes a test of each promise, against the stores that `$open` makes, each empty; what `$open` gives beside a store is kept
/// until the test ends.
macro_rules! tests {
    ($open:expr; $($subject:ident { $($promise:ident)* })*) => {
        $(
            mod $subject {
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $promise() {
                        let (store, _kept) = $open;
                        crate::store::contract::$subject::$promise(store).await;
                    }
                )*
            }
        )*
    };
}

/// Runs all promises one after the other, each against an empty store by `$open`, which is told the promise's name.
macro_rules! in_turn {
    ($open:expr; $($subject:ident { $($promise:ident)* })*) => {
        $($(
            let store: SharedStore = $open(stringify!($promise));
            super::$subject::$promise(store).await;
        )*)*
    };
}

mod sqlite {
    use super::*;
    use crate::store::sql::SqlStore;

    fn open() -> (SharedStore, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let store: SharedStore = Arc::new(SqlStore::open(&dir.path().join("central.db")).unwrap());
        (store, dir)
    }

    promises! { tests! super::open() }
}

mod postgres {
    use super::cluster::Cluster;
    use super::*;
    use crate::store::sql::SqlStore;

    fn open(cluster: &Cluster, name: &str) -> SharedStore {
        println!("{name}");
        cluster.create_as(name, "made");
        Arc::new(SqlStore::open_at(&cluster.database(name), None).unwrap())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_promise_is_kept_by_a_server() {
        let cluster = Cluster::start();
        cluster.create("made");
        drop(SqlStore::open_at(&cluster.database("made"), None).unwrap());
        promises! { in_turn! |name| open(&cluster, name) }
    }
}

const NOW: Wall = Wall(1_795_221_000_000_000);
const EPOCH: Epoch = Epoch(7);

fn at(seconds: u64) -> Wall {
    NOW.plus(Span::secs(seconds))
}

fn id(text: &str) -> BoxId {
    text.parse().unwrap()
}

fn group(text: &str) -> GroupId {
    text.parse().unwrap()
}

fn declared(text: &str, groups: &[&str]) -> BoxDeclared {
    let groups = groups.iter().map(|name| group(name)).collect();
    BoxDeclared { id: id(text), title: format!("Cụm {text}"), groups, key: None }
}

fn holds(version: u32) -> Holds {
    Holds {
        commands: commands_digest([]),
        programmes: Default::default(),
        trust: version,
        policy: 0,
        groups: 0,
        ..Holds::default()
    }
}

fn command(name: &str, serial: u64) -> NewCommand {
    NewCommand {
        id: name.parse().unwrap(),
        kind: CommandKind::Announce,
        issuer: "an".parse().unwrap(),
        serial,
        issued_at: at(serial),
        expires: at(3_600),
        groups: vec![group("xa")],
        title: name.to_owned(),
        class: Some(BulletinClass::Emergency),
        mode: Some(Mode::Exercise),
        author: "An".to_owned(),
        approver: None,
        payload: "{}".to_owned(),
        envelope: name.as_bytes().to_vec(),
        ends: Vec::new(),
        document: None,
        moves: Vec::new(),
        boxes: vec![id("loa-1"), id("loa-2")],
        basis: None,
    }
}

fn document(name: &str, serial: u64, version: u32) -> NewCommand {
    let document = Some((DocumentName::Groups, version));
    NewCommand { kind: CommandKind::Other, class: None, mode: None, document, ..command(name, serial) }
}

/// A log as a box writes it.
struct Written(chain::Link);

impl Written {
    fn new() -> Self {
        Self(chain::Link::FIRST)
    }

    fn batch(&mut self, events: impl IntoIterator<Item = Event>) -> Batch {
        self.batch_at(NOW, events)
    }

    /// Writes entries under a clock that says so.
    fn batch_at(&mut self, wall: Wall, events: impl IntoIterator<Item = Event>) -> Batch {
        let records = events.into_iter().map(|event| {
            let stamp =
                Stamp { start: 1, mono_us: 1, wall, quality: ClockQuality::Synced, uncertainty_ms: 1 };
            let entry = Entry { at: stamp, event };
            let record = self.0.record(&id("loa-1"), EPOCH, entry.clone()).unwrap();
            let prev = self.0.prev;
            self.0 = chain::Link::after(record.seq, &record.body);
            {
                let implausible = plausible::judge(&entry, NOW);
                Record { seq: record.seq, hash: self.0.prev, prev, body: record.body, entry, implausible }
            }
        });
        let records = records.collect();
        Batch { id: id("loa-1"), epoch: EPOCH, arrived: NOW, oldest: 1, records, head: None }
    }
}

async fn ingest(store: &SharedStore, batch: Batch) -> Ingested {
    store.ingest(batch).await.unwrap().await.unwrap()
}

fn missed(title: &str, reason: NotPlayed) -> Event {
    let slot = SlotKey { slot: "sang".parse().unwrap(), date: NOW.date() };
    Event::NotPlayed { subject: Subject::Slot(slot), title: title.to_owned(), reason }
}

fn started(n: u32, subject: Subject) -> Event {
    Event::PlayStarted(PlayStart {
        play: PlayId::new(1, n),
        subject,
        rung: Rung::Exercise,
        title: "Diễn tập".to_owned(),
        section: Some("phong-chong-thien-tai".parse().unwrap()),
        campaign: None,
        class: Some(BulletinClass::Emergency),
        mode: Some(Mode::Exercise),
        issuer: None,
        content: None,
        source: "speech".to_owned(),
        language: "vi".to_owned(),
        repetition: 1,
        scheduled: None,
        entered_at_ms: 0,
        volume_percent: 80,
        instead_of: None,
    })
}

fn ended(n: u32, subject: Subject, outcome: PlayOutcome) -> Event {
    Event::PlayEnded(PlayEnd {
        play: PlayId::new(1, n),
        subject,
        outcome,
        started_at: None,
        frames_played: 48_000,
        frames_due: Some(96_000),
        loudness_lufs: None,
        heard: None,
    })
}

fn act() -> NewAct {
    let subject = "loa-1".to_owned();
    NewAct {
        at: NOW,
        actor: Actor::Central,
        act: "alarm_taken",
        subject,
        before: None,
        after: None,
        from: None,
    }
}
