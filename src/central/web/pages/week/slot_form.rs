//! The form of a slot: read, checked and drawn.

use chrono::{NaiveTime, TimeDelta, Weekday};
use maud::{Markup, html};

use super::asked::{Asked, is_single};
use crate::web::form::{Faults, Input, Sent};
use crate::web::frame::Frame;
use crate::web::local_time;
use loaxa_heart::config::day_rules::hm;
use loaxa_heart::config::programme_edit::SlotFields;
use loaxa_heart::domain::ids::{PlaylistId, SectionId};
use loaxa_heart::domain::programme::{DayRule, Slot};
use loaxa_heart::domain::time::DAY_END;
use loaxa_heart::said;

/// Most letters of a slot's title.
const TITLE_CHARS_MAX: usize = 120;

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Mon),
    ("tue", Weekday::Tue),
    ("wed", Weekday::Wed),
    ("thu", Weekday::Thu),
    ("fri", Weekday::Fri),
    ("sat", Weekday::Sat),
    ("sun", Weekday::Sun),
];

/// The days that a change is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Only the day of the page.
    Once,
    Series,
}

/// A form as it was read.
pub struct Read {
    pub scope: Scope,
    pub fields: SlotFields,
}

/// A slot as it will be.
pub struct Applied {
    pub title: String,
    pub start: NaiveTime,
    pub end: NaiveTime,
}

impl Applied {
    pub fn said(&self, frame: &Frame) -> String {
        let next = if self.end <= self.start { frame.say("week.next_day") } else { "" };
        format!("{}–{}{next}", hm(self.start), hm(self.end))
    }
}

/// Reads a time of day; `24:00` is midnight.
fn time(text: &str) -> Option<NaiveTime> {
    match text.trim() {
        "24:00" | "24h" | "24h00" => Some(DAY_END),
        // A slot may begin at a second, as it is shown then.
        text => text.parse().ok().or_else(|| local_time::time(text)),
    }
}

impl Read {
    /// Reads what was sent.
    pub fn of(asked: &Asked, sent: &Sent) -> Result<Self, Faults> {
        let does = sent.get("viec");
        let once = sent.get("pham-vi") != "chuoi" || asked.slot.as_ref().is_some_and(is_single);
        let scope = if once { Scope::Once } else { Scope::Series };
        if matches!(does, "bo" | "lai") {
            return Ok(Self { scope, fields: SlotFields::default() });
        }
        let mut faults = Faults::default();
        let title = sent.get("ten").trim().to_owned();
        if title.is_empty() || title.chars().count() > TITLE_CHARS_MAX {
            faults.add("ten", said!("week.bad_title", max = TITLE_CHARS_MAX));
        }
        let (start, end) = (time(sent.get("bat-dau")), time(sent.get("ket-thuc")));
        if start.is_none() {
            faults.add("bat-dau", said!("compose.bad_time"));
        }
        if end.is_none() {
            faults.add("ket-thuc", said!("compose.bad_time"));
        }
        let playlist = sent.get("danh-sach").parse::<PlaylistId>().ok();
        let playlist = playlist.filter(|id| asked.shown.programme.playlists.contains_key(id));
        if playlist.is_none() {
            faults.add("danh-sach", said!("week.no_list"));
        }
        let volume = sent.get("am-luong").trim().trim_end_matches('%').trim().parse::<u8>().ok();
        let volume = volume.filter(|volume| (1..=100).contains(volume));
        if volume.is_none() {
            faults.add("am-luong", said!("week.bad_volume"));
        }
        let section = sent.get("chuyen-muc").parse::<SectionId>().ok();
        let section = section.filter(|id| asked.shown.programme.sections.contains_key(id));
        let named = |(code, _): &&(&str, Weekday)| sent.all("thu").any(|it| it == *code);
        let weekdays: Vec<_> = WEEKDAYS.iter().filter(named).map(|(_, day)| *day).collect();
        let asks_days = scope == Scope::Series && has_weekdays(asked.slot.as_ref());
        if asks_days && weekdays.is_empty() {
            faults.add("thu", said!("week.no_weekday"));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let fields = SlotFields {
            title: Some(title),
            times: start.zip(end),
            weekdays: asks_days.then_some(weekdays),
            playlist,
            volume_percent: volume,
            section: Some(section),
        };
        Ok(Self { scope, fields: differing(fields, asked.slot.as_ref()) })
    }

    /// The slot after the change.
    pub fn applied(&self, slot: Option<&Slot>) -> Applied {
        let old = slot.map(|slot| (slot.start, slot.end));
        let (start, end) = self.fields.times.or(old).unwrap_or_default();
        let title = self.fields.title.clone().or_else(|| slot.map(|slot| slot.title.clone()));
        Applied { title: title.unwrap_or_default(), start, end }
    }
}

/// Leaves out what stays as it is, so that the text keeps the words in which it was written.
fn differing(fields: SlotFields, slot: Option<&Slot>) -> SlotFields {
    let Some(slot) = slot else { return fields };
    let same_times = |times: &(NaiveTime, NaiveTime)| *times == (slot.start, slot.end);
    let same_days =
        |days: &Vec<Weekday>| matches!(&slot.days.rules[..], [DayRule::Weekdays(old)] if old == days);
    SlotFields {
        title: fields.title.filter(|title| *title != slot.title),
        times: fields.times.filter(|times| !same_times(times)),
        weekdays: fields.weekdays.filter(|days| !same_days(days)),
        playlist: fields.playlist.filter(|list| *list != slot.playlist),
        volume_percent: fields.volume_percent.filter(|volume| *volume != slot.volume_percent),
        section: fields.section.filter(|section| *section != slot.section),
    }
}

/// Tells whether a slot has weekdays and no other rule; a new one has.
fn has_weekdays(slot: Option<&Slot>) -> bool {
    slot.is_none_or(|slot| matches!(slot.days.rules[..], [DayRule::Weekdays(_)]))
}

/// The form, with what was typed last.
pub struct Form<'a> {
    pub frame: &'a Frame,
    pub asked: &'a Asked,
    pub faults: &'a Faults,
    pub sent: Option<&'a Sent>,
    /// Minutes by which the times are moved.
    pub later: i64,
}

impl Form<'_> {
    /// The value of a field: what was typed, or what stands there.
    fn value(&self, name: &str, kept: String) -> String {
        self.sent.map_or(kept, |sent| sent.get(name).to_owned())
    }

    pub fn draw(&self) -> Markup {
        let Form { frame, asked, faults, .. } = self;
        let slot = asked.slot.as_ref();
        let later = TimeDelta::minutes(self.later);
        let shown =
            |time: NaiveTime| hm(if self.later == 0 { time } else { time.overflowing_add_signed(later).0 });
        let title = self.value("ten", slot.map(|slot| slot.title.clone()).unwrap_or_default());
        let start = self.value("bat-dau", slot.map_or_else(String::new, |slot| shown(slot.start)));
        let end = self.value("ket-thuc", slot.map_or_else(String::new, |slot| shown(slot.end)));
        let volume = self.value("am-luong", slot.map_or(100, |slot| slot.volume_percent).to_string());
        let single = slot.is_some_and(is_single);
        let excepted = slot.is_some_and(|slot| slot.days.except.contains(&asked.address.day));
        html! {
            form.stack method="post" action="/tuan/khung" {
                input type="hidden" name="noi" value=(asked.address.group);
                input type="hidden" name="ngay" value=(asked.address.day);
                input type="hidden" name="ct" value=(asked.shown.id);
                input type="hidden" name="ban" value=(asked.shown.basis.digest);
                @if let Some(slot) = slot { input type="hidden" name="khung" value=(slot.id); }
                @if single { p.mute { (frame.say("week.single")) } input type="hidden" name="pham-vi" value="ngay"; } @else { (self.scope()) }
                (Input::text("ten", frame.say("week.slot_title"), &title).draw(frame, faults))
                div.row {
                    (Input { class: Some("w-time"), ..Input::text("bat-dau", frame.say("week.start"), &start) }.draw(frame, faults))
                    (Input { class: Some("w-time"), hint: None, ..Input::text("ket-thuc", frame.say("week.end"), &end) }.draw(frame, faults))
                }
                p.hint { (frame.say("week.over_midnight")) }
                (self.lists())
                (Input { class: Some("w-time"), ..Input::text("am-luong", frame.say("week.volume"), &volume) }.draw(frame, faults))
                (self.sections())
                @if !single && has_weekdays(slot) { (self.weekdays()) }
                div.btns {
                    button.btn name="viec" value="ghi" autofocus[self.later != 0] { (frame.say(if slot.is_some() { "week.keep" } else { "week.add_it" })) }
                    @if excepted { button.btn.sec name="viec" value="lai" formnovalidate { (frame.say("week.restore")) } }
                    @else if slot.is_some() { button.btn.sec name="viec" value="bo" formnovalidate { (frame.say("week.remove")) } }
                }
                p.mute { (frame.say("week.not_before_approval")) }
            }
        }
    }

    fn scope(&self) -> Markup {
        let frame = self.frame;
        let day = self.asked.address.day.format("%d/%m/%Y");
        let is_new = self.asked.slot.is_none();
        let series = self.sent.map_or(is_new, |sent| sent.get("pham-vi") == "chuoi");
        html! {
            fieldset { legend { (frame.say("week.which_days")) }
                div.picks {
                    div.pick { input type="radio" name="pham-vi" value="ngay" id="pv1" checked[!series];
                        label for="pv1" { (frame.tell(&said!("week.only_on", day))) } }
                    div.pick { input type="radio" name="pham-vi" value="chuoi" id="pv2" checked[series];
                        label for="pv2" { (frame.say("week.all_days")) } }
                }
            }
        }
    }

    fn lists(&self) -> Markup {
        let Form { frame, asked, faults, .. } = self;
        let kept = asked.slot.as_ref().map(|slot| slot.playlist.to_string()).unwrap_or_default();
        let chosen = self.value("danh-sach", kept);
        html! {
            div.field.bad[faults.has("danh-sach")] { label for="danh-sach" { (frame.say("week.list")) }
                (faults.beside(frame, "danh-sach"))
                select #danh-sach name="danh-sach" { @for list in asked.shown.programme.playlists.values() {
                    option value=(list.id) selected[list.id.as_str() == chosen] { (list.title) } } }
                p { a href={ "/tuan/danh-sach?" (asked.address.query()) "&ct=" (asked.shown.id) "&danh-sach=" (chosen) } { (frame.say("week.change_list")) } }
            }
        }
    }

    fn sections(&self) -> Markup {
        let Form { frame, asked, .. } = self;
        let kept = asked.slot.as_ref().and_then(|slot| slot.section.as_ref()).map(SectionId::to_string);
        let chosen = self.value("chuyen-muc", kept.unwrap_or_default());
        html! {
            div.field { label for="chuyen-muc" { (frame.say("compose.section")) }
                select #chuyen-muc name="chuyen-muc" {
                    option value="" { (frame.say("compose.none")) }
                    @for section in asked.shown.programme.sections.values() {
                        option value=(section.id) selected[section.id.as_str() == chosen] { (section.title) } }
                }
            }
        }
    }

    fn weekdays(&self) -> Markup {
        let Form { frame, asked, faults, sent, .. } = self;
        let kept = |day: &Weekday| match asked.slot.as_ref().map(|slot| &slot.days.rules[..]) {
            Some([DayRule::Weekdays(days)]) => days.contains(day),
            _ => true,
        };
        let checked = |code: &str, day: &Weekday| match sent {
            Some(sent) => sent.all("thu").any(|it| it == code),
            None => kept(day),
        };
        html! {
            fieldset.bad[faults.has("thu")] #thu tabindex="-1" { legend { (frame.say("week.weekdays")) }
                (faults.beside(frame, "thu"))
                div.picks.two { @for (code, day) in &WEEKDAYS {
                    div.pick { input type="checkbox" name="thu" value=(code) id={ "thu-" (code) } checked[checked(code, day)];
                        label for={ "thu-" (code) } { (frame.texts.code("weekday", code)) } }
                } }
            }
        }
    }
}
