//! The words of pages about troubles: a title, what to do, and the buttons of who takes one on.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::app::App;
use crate::boxes::alarms::{AlarmGroup, Standing};
use crate::boxes::watch::CENTRE;
use crate::people::Who;
use crate::store::{BoxRow, PersonRow, Role, TroubleKind};
use crate::web::frame::Frame;
use crate::web::words;
use loaxa_heart::domain::ids::{AccountId, BoxId, GroupId};
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::said;

/// Roles that take alarms on.
pub const CARERS: &[Role] = &[Role::Technician, Role::Duty, Role::Administrator];

/// Steps of a remedy at most.
const STEPS_MAX: usize = 5;

/// The names that the words about troubles need.
pub struct Names<'a> {
    pub app: &'a App,
    pub boxes: BTreeMap<&'a str, &'a BoxRow>,
    pub people: BTreeMap<&'a AccountId, &'a str>,
    pub now: Wall,
}

impl<'a> Names<'a> {
    pub fn new(app: &'a App, boxes: &'a [BoxRow], people: &'a [PersonRow], now: Wall) -> Self {
        let boxes = boxes.iter().map(|row| (row.id.as_str(), row)).collect();
        let people = people.iter().map(|person| (&person.id, person.name.as_str())).collect();
        Self { app, boxes, people, now }
    }

    /// The name of a box, or the subject itself: a stranger has none.
    pub fn subject(&self, subject: &'a str) -> &'a str {
        if subject == CENTRE {
            return &self.app.settings.commune;
        }
        self.boxes.get(subject).map_or(subject, |row| row.title.as_str())
    }

    /// The name of a person, or the account where nobody is found.
    pub fn person(&self, id: &'a AccountId) -> &'a str {
        self.people.get(id).copied().unwrap_or(id.as_str())
    }

    /// A time of today as `14:20`, one of another day with its date.
    pub fn time(&self, at: Wall) -> String {
        let local = at.local();
        let format = if local.date() == self.now.date() { "%H:%M" } else { "%H:%M, %d/%m" };
        local.format(format).to_string()
    }

    /// One line that says what is wrong, where and since when.
    pub fn title(&self, frame: &Frame, alarm: &AlarmGroup) -> String {
        let subject = alarm.rows[0].subject.as_str();
        let first = self.subject(subject);
        let (count, since) = (alarm.rows.len(), self.time(alarm.since));
        let what = what_words(frame, alarm.kind, &alarm.what);
        let place = alarm.place.as_ref().map(|group| self.app.title_of(group));
        let said = match (alarm.kind, place, count) {
            (TroubleKind::OutOfContact, Some(place), 1) => {
                said!("trouble.lost_one", place, title = first, since)
            }
            (TroubleKind::OutOfContact, Some(place), _) => said!("trouble.lost_many", place, count, since),
            (TroubleKind::OutOfContact, None, _) => said!("trouble.lost_nowhere", title = first, since),
            (TroubleKind::Fault, Some(place), 1) => said!("trouble.fault_one", place, title = first, what),
            (TroubleKind::Fault, Some(place), _) => said!("trouble.fault_many", place, count, what),
            (TroubleKind::Feedback, ..) => {
                let place = subject
                    .parse::<GroupId>()
                    .map_or_else(|_| subject.to_owned(), |id| self.app.title_of(&id));
                said!("trouble.feedback", place, date = alarm.since.local().format("%d/%m"))
            }
            (TroubleKind::Fault | TroubleKind::Security, ..) => said!("trouble.of", title = first, what),
        };
        frame.tell(&said)
    }
}

/// The words for a fault or an alarm, or for a box that is silent.
pub fn what_words(frame: &Frame, kind: TroubleKind, what: &str) -> String {
    match kind {
        TroubleKind::OutOfContact => frame.say("trouble.lost").to_owned(),
        TroubleKind::Fault => words::fault(frame.texts, what),
        TroubleKind::Feedback => frame.say("trouble.feedback_what").to_owned(),
        TroubleKind::Security => frame.texts.code("alarms", what),
    }
}

/// The steps that mend a trouble; those for any fault where it has none of its own.
pub fn steps(frame: &Frame, kind: TroubleKind, what: &str) -> Vec<String> {
    let all = frame.texts.section("remedy");
    let of = |code: &str| -> Vec<String> {
        let keys = (1..=STEPS_MAX).map(|n| format!("{code}_{n}"));
        keys.filter_map(|key| all.get(key.as_str()).map(|step| (*step).to_owned())).collect()
    };
    let code = match kind {
        TroubleKind::OutOfContact => "lost",
        TroubleKind::Fault | TroubleKind::Feedback => what,
        TroubleKind::Security => "security",
    };
    Some(of(code)).filter(|steps| !steps.is_empty()).unwrap_or_else(|| of("any"))
}

/// Tells whether a person may take on the troubles of these groups; of none, everybody with such a role may.
pub fn may_care(app: &App, who: &Who, groups: &[GroupId]) -> bool {
    CARERS.iter().any(|role| who.has(*role) && who.may(app, *role, groups))
}

/// The groups whose boxes an alarm is about.
pub fn groups_of<'a>(
    boxes: &BTreeMap<&str, &'a BoxRow>,
    subjects: impl Iterator<Item = &'a str>,
) -> Vec<GroupId> {
    let groups = subjects.filter_map(|subject| boxes.get(subject)).flat_map(|row| row.groups.clone());
    let mut groups: Vec<_> = groups.collect();
    groups.sort();
    groups.dedup();
    groups
}

/// The button with which a person takes an alarm on; afterwards they are back on the page `back`. One
/// button of a page is its main one.
pub fn take_button(frame: &Frame, alarm: &AlarmGroup, back: &str, is_main: bool) -> Markup {
    html! {
        form method="post" action="/canh-bao/nhan" {
            input type="hidden" name="viec" value=(alarm.ids());
            input type="hidden" name="ve" value=(back);
            button.btn.sec[!is_main] { (frame.say("trouble.take")) }
        }
    }
}

/// The times until which an alarm can be silenced, from `now` on.
pub fn silences(now: Wall) -> Vec<(&'static str, Wall)> {
    let at = |days: u64, hour| {
        let date = now.date() + chrono::Days::new(days);
        Wall::from_local(date.and_hms_opt(hour, 0, 0).unwrap_or_default())
    };
    let evening = at(0, 18);
    let mut choices = vec![("trouble.hour", now.plus(Span::secs(3_600)))];
    choices.extend((evening > now).then_some(("trouble.until_evening", evening)));
    choices.push(("trouble.until_morning", at(1, 7)));
    choices.push(("trouble.three_days", at(3, 7)));
    choices
}

/// The form that silences an alarm until a time that the person chooses.
pub fn silence_form(frame: &Frame, alarm: &AlarmGroup, back: &str, now: Wall) -> Markup {
    let id = format!("im-{}", alarm.rows[0].id);
    html! {
        form.row method="post" action="/canh-bao/im" {
            input type="hidden" name="viec" value=(alarm.ids());
            input type="hidden" name="ve" value=(back);
            div { label for=(id) { (frame.say("trouble.silence")) }
                select id=(id) name="den" {
                    @for (key, until) in silences(now) { option value=(until.0) { (frame.say(key)) } }
                } }
            div.btns.end { button.btn.sec { (frame.say("trouble.silence_it")) } }
        }
    }
}

/// One line about who has taken an alarm on, and until when it is silent.
pub fn care_line(frame: &Frame, names: &Names, alarm: &AlarmGroup) -> String {
    let taken = alarm.taken.as_ref().map(|(by, at)| {
        frame.tell(&said!("trouble.taken_by", name = names.person(by), at = names.time(*at)))
    });
    let silent =
        alarm.silent_until.map(|until| frame.tell(&said!("trouble.silent_until", at = names.time(until))));
    let working =
        (alarm.standing == Standing::Maintained).then(|| frame.say("trouble.maintained").to_owned());
    let lines: Vec<_> = [taken, silent, working].into_iter().flatten().collect();
    if lines.is_empty() { frame.say("trouble.nobody").to_owned() } else { lines.join(" ") }
}

/// The address of the box of an alarm about one, or of all alarms.
pub fn what_to_do(alarm: &AlarmGroup, boxes: &BTreeMap<&str, &BoxRow>) -> String {
    if alarm.kind == TroubleKind::Feedback {
        return "/gop-y-cua-dan".to_owned();
    }
    let subject = alarm.rows[0].subject.as_str();
    let is_box = subject.parse::<BoxId>().is_ok() && boxes.contains_key(subject);
    if is_box && alarm.rows.len() == 1 {
        format!("/cum-loa/{subject}")
    } else {
        format!("/canh-bao#viec-{}", alarm.rows[0].id)
    }
}

/// Counts the boxes that belong to a village or to what lies in it.
pub fn boxes_in_village(app: &App, boxes: &[BoxRow], village: &GroupId) -> usize {
    boxes.iter().filter(|row| app.groups_of(&row.groups).contains(village)).count()
}
