//! A programme as the TOML that [`super::programme_file`] reads again to the same programme.

use std::fmt::Display;
use std::path::Path;

use chrono::Weekday;

use super::day_rules::{EVERY_DAY, WEEKDAYS, hm};
use crate::domain::announcement::Interruption;
use crate::domain::programme::*;
use crate::domain::sound::Pattern;

/// Writes a programme whose files lie below `base`. Playlists come as items, never as M3U8.
pub fn write(programme: &Programme, base: &Path) -> String {
    let mut out = Toml::default();
    out.head("[programme]");
    out.text("id", &programme.id);
    out.bare("version", programme.version);
    out.text("title", &programme.title);
    out.text("group", &programme.group);
    for section in programme.sections.values() {
        out.head("[[section]]");
        out.text("id", &section.id);
        out.text("title", &section.title);
        out.some_text("responsible", section.responsible.as_ref());
        out.some_bare("weekly_minutes_min", section.weekly_minutes_min);
    }
    for campaign in programme.campaigns.values() {
        out.head("[[campaign]]");
        out.text("id", &campaign.id);
        out.text("title", &campaign.title);
        out.text("from", campaign.from);
        out.text("until", campaign.until);
        out.text("responsible", &campaign.responsible);
        out.list("messages", &campaign.messages);
    }
    programme.holidays.values().for_each(|holiday| out.holiday(holiday));
    programme.playlists.values().for_each(|playlist| out.playlist(playlist, base));
    programme.slots.iter().for_each(|slot| out.slot(slot));
    out.0
}

/// Writes one `[[slot]]`.
pub fn write_slot(slot: &Slot) -> String {
    let mut out = Toml::default();
    out.slot(slot);
    out.0
}

/// Writes one `[[playlist]]` whose files lie below `base`.
pub fn write_playlist(playlist: &Playlist, base: &Path) -> String {
    let mut out = Toml::default();
    out.playlist(playlist, base);
    out.0
}

/// TOML text that grows.
#[derive(Default)]
struct Toml(String);

impl Toml {
    fn head(&mut self, head: &str) {
        let gap = if self.0.is_empty() { "" } else { "\n" };
        self.0 += &format!("{gap}{head}\n");
    }

    fn bare(&mut self, key: &str, value: impl Display) {
        self.0 += &format!("{key} = {value}\n");
    }

    fn text(&mut self, key: &str, value: impl Display) {
        self.bare(key, quoted(value));
    }

    fn some_text(&mut self, key: &str, value: Option<impl Display>) {
        value.into_iter().for_each(|value| self.text(key, value));
    }

    fn some_bare(&mut self, key: &str, value: Option<impl Display>) {
        value.into_iter().for_each(|value| self.bare(key, value));
    }

    /// Writes a list of texts; an empty list is left out.
    fn list(&mut self, key: &str, values: &[impl Display]) {
        if !values.is_empty() {
            let values: Vec<_> = values.iter().map(quoted).collect();
            self.bare(key, format!("[{}]", values.join(", ")));
        }
    }

    fn holiday(&mut self, holiday: &Holiday) {
        self.head("[[holiday]]");
        self.text("id", &holiday.id);
        self.text("title", &holiday.title);
        let effect = match holiday.effect {
            HolidayEffect::Replace => "replace",
            HolidayEffect::Add => "add",
            HolidayEffect::Mourning => "mourning",
            HolidayEffect::Silence => "silence",
        };
        self.text("effect", effect);
        self.day_rules(&holiday.rules);
        if holiday.lasts_days != 1 {
            self.bare("lasts_days", holiday.lasts_days);
        }
    }

    fn playlist(&mut self, playlist: &Playlist, base: &Path) {
        self.head("[[playlist]]");
        self.text("id", &playlist.id);
        self.text("title", &playlist.title);
        playlist.items.iter().for_each(|item| self.item(item, base));
    }

    fn item(&mut self, item: &Item, base: &Path) {
        self.head("[[playlist.item]]");
        if !item.title.is_empty() {
            self.text("title", &item.title);
        }
        self.content(&item.content, base);
        if item.kind == ItemKind::Music {
            self.text("kind", "music");
        }
        if item.language != "vi" {
            self.text("language", &item.language);
        }
        self.some_text("section", item.section.as_ref());
        self.some_text("campaign", item.campaign.as_ref());
        self.some_text("responsible", item.responsible.as_ref());
        self.some_text("licence", item.licence.as_ref());
        self.some_text("valid_from", item.valid_from);
        self.some_text("valid_until", item.valid_until);
        self.some_text("interruption", item.interruption.map(interruption));
        if item.repeats != 1 {
            self.bare("repeats", item.repeats);
        }
        if item.gap_s != 0 {
            self.bare("gap_s", item.gap_s);
        }
        if item.gain_db != 0.0 {
            self.bare("gain_db", format!("{:?}", item.gain_db));
        }
        self.list("audience", &item.audience);
        for (language, content) in &item.translations {
            self.head(&format!("[playlist.item.translations.{language}]"));
            self.content(content, base);
        }
    }

    fn content(&mut self, content: &Content, base: &Path) {
        match content {
            Content::File { path, .. } => {
                self.text("file", path.strip_prefix(base).unwrap_or(path).display())
            }
            Content::Text { text, .. } => self.text("text", text),
            Content::Relay { url, minutes, fallback } => {
                self.text("relay", url);
                self.some_bare("minutes", *minutes);
                self.some_text("fallback", fallback.as_ref());
            }
            Content::Playlist(id) => self.text("playlist", id),
        }
    }

    fn slot(&mut self, slot: &Slot) {
        self.head("[[slot]]");
        self.text("id", &slot.id);
        self.text("title", &slot.title);
        self.text("start", hm(slot.start));
        self.text("end", hm(slot.end));
        self.day_rules(&slot.days.rules);
        self.some_text("valid_from", slot.days.valid_from);
        self.some_text("valid_until", slot.days.valid_until);
        self.list("except", &slot.days.except);
        self.some_text("holiday", slot.holiday.as_ref());
        self.text("playlist", &slot.playlist);
        match slot.order {
            Order::InTurn => {}
            Order::Rotating => self.text("order", "rotating"),
            Order::Shuffled => self.text("order", "shuffled"),
        }
        match slot.fill {
            Fill::Once => {}
            Fill::Loop => self.text("fill", "loop"),
            Fill::Fitting => self.text("fill", "fitting"),
        }
        self.pattern("opening", slot.opening.as_ref());
        self.pattern("closing", slot.closing.as_ref());
        match slot.lateness {
            Lateness::Shift => {}
            Lateness::Join => self.text("lateness", "join"),
            Lateness::Skip => self.text("lateness", "skip"),
        }
        self.some_bare("start_within_s", slot.start_within_s);
        if slot.interruption != Interruption::default() {
            self.text("interruption", interruption(slot.interruption));
        }
        if slot.volume_percent != 100 {
            self.bare("volume_percent", slot.volume_percent);
        }
        self.some_text("section", slot.section.as_ref());
        self.some_text("campaign", slot.campaign.as_ref());
        self.list("audience", &slot.audience);
    }

    fn day_rules(&mut self, rules: &[DayRule]) {
        let weekdays: Vec<Weekday> = rules
            .iter()
            .flat_map(|rule| if let DayRule::Weekdays(days) = rule { &days[..] } else { &[] })
            .copied()
            .collect();
        match &weekdays[..] {
            [] => {}
            days if days == EVERY_DAY => self.text("days", "daily"),
            days => self.list("days", &days.iter().map(|day| weekday(*day)).collect::<Vec<_>>()),
        }
        let mut list = |key, value: fn(&DayRule) -> Option<String>| {
            self.list(key, &rules.iter().filter_map(value).collect::<Vec<_>>());
        };
        list("lunar", |rule| if let DayRule::Lunar(day) = rule { Some(day.to_string()) } else { None });
        list("yearly", |rule| {
            if let DayRule::Yearly { month, day } = rule { Some(format!("{day}/{month}")) } else { None }
        });
        list("dates", |rule| if let DayRule::Date(date) = rule { Some(date.to_string()) } else { None });
        for rule in rules {
            if let DayRule::Recurrence { rule, from } = rule {
                self.text("rrule", rule);
                self.text("rrule_from", from);
            }
        }
    }

    fn pattern(&mut self, key: &str, pattern: Option<&Pattern>) {
        let Some(pattern) = pattern else { return };
        if *pattern == Pattern::chime() {
            return self.text(key, "chime");
        }
        let tone = |tone: &crate::domain::sound::Tone| {
            let (from, to) = (tone.from_hz, tone.to_hz);
            format!("{{ from_hz = {from:?}, to_hz = {to:?}, ms = {}, gap_ms = {} }}", tone.ms, tone.gap_ms)
        };
        let tones: Vec<_> = pattern.tones.iter().map(tone).collect();
        self.bare(key, format!("{{ tones = [{}], repeats = {} }}", tones.join(", "), pattern.repeats));
    }
}

/// Puts a text into TOML's quotes.
fn quoted(value: impl Display) -> String {
    toml::Value::String(value.to_string()).to_string()
}

fn weekday(day: Weekday) -> &'static str {
    WEEKDAYS[day.num_days_from_monday() as usize].0
}

fn interruption(policy: Interruption) -> &'static str {
    match policy {
        Interruption::Resume => "resume",
        Interruption::Restart => "restart",
        Interruption::Drop => "drop",
    }
}
