//! The words of a preview, in Vietnamese and English.

use chrono::{Datelike, NaiveDate};

use super::planned::{Fate, Planned};
use crate::domain::days::DayNote;
use crate::domain::lunar::LunarDate;
use crate::domain::playback::NotPlayed;
use crate::domain::policy::GuardRefusal;

/// The language of what a person reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lang {
    #[default]
    Vi,
    En,
}

impl Lang {
    /// Chooses one of two texts.
    pub const fn of<'t>(self, vi: &'t str, en: &'t str) -> &'t str {
        match self {
            Lang::Vi => vi,
            Lang::En => en,
        }
    }
}

/// Writes a date with its day of the week and its lunar date.
pub fn day(date: NaiveDate, lang: Lang) -> String {
    const VI: [&str; 7] = ["Thứ Hai", "Thứ Ba", "Thứ Tư", "Thứ Năm", "Thứ Sáu", "Thứ Bảy", "Chủ Nhật"];
    const EN: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    let weekday = date.weekday().num_days_from_monday() as usize;
    let lunar = LunarDate::from_solar(date);
    match lang {
        Lang::Vi => format!("{}, {} (âm lịch {lunar})", VI[weekday], date.format("%d/%m/%Y")),
        Lang::En => format!("{}, {} (lunar {lunar})", EN[weekday], date.format("%Y-%m-%d")),
    }
}

/// Writes a note on a day.
pub fn note(note: &DayNote, lang: Lang) -> String {
    match note {
        DayNote::LunarThirtieth => lang
            .of(
                "tháng âm lịch này chỉ có 29 ngày: ngày 30 là hôm nay, ngày 29",
                "this lunar month has 29 days: its 30th is today, the 29th",
            )
            .to_owned(),
        DayNote::Holiday(id) => format!("{} {id}", lang.of("ngày lễ", "holiday")),
    }
}

/// Returns the title that people see for a play.
pub fn title(play: &Planned, lang: Lang) -> &str {
    if play.chime { lang.of("(nhạc hiệu)", "(chime)") } else { &play.title }
}

/// Says what becomes of a play; empty for one that sounds whole.
pub fn fate(fate: &Fate, lang: Lang) -> String {
    match fate {
        Fate::Whole => String::new(),
        Fate::HardEnd => lang.of("tắt dần khi hết giờ", "faded out at the hard end").to_owned(),
        Fate::Guarded { reason } => format!("{}: {}", lang.of("bị dừng", "stopped"), refusal(reason, lang)),
        Fate::NotPlayed { reason } => {
            format!("{}: {}", lang.of("không phát", "not played"), not_played(reason, lang))
        }
    }
}

fn not_played(reason: &NotPlayed, lang: Lang) -> String {
    let text = match reason {
        NotPlayed::Guarded { reason } => return refusal(reason, lang),
        NotPlayed::Unplayable { reason } => return reason.to_string(),
        NotPlayed::PreEmpted { .. } => {
            lang.of("nhường bản tin quan trọng hơn", "something higher had the air")
        }
        NotPlayed::Missed => lang.of("bỏ lỡ", "missed"),
        NotPlayed::Late => lang.of("đã quá muộn", "too late"),
        NotPlayed::NoRoom => lang.of("không đủ thời gian trước khi hết giờ", "no room before the hard end"),
        NotPlayed::Mourning => lang.of("ngày để tang, không phát nhạc", "a day of mourning, without music"),
        NotPlayed::Replaced => lang.of("chương trình đã thay đổi", "the programme changed"),
        NotPlayed::Expired => lang.of("hết hạn", "expired"),
        NotPlayed::Cancelled => lang.of("đã hủy", "cancelled"),
        NotPlayed::Superseded => lang.of("đã có bản mới", "superseded"),
        NotPlayed::OnlyATest => lang.of("chỉ là thử", "only a test"),
    };
    text.to_owned()
}

fn refusal(reason: &GuardRefusal, lang: Lang) -> String {
    if lang == Lang::En {
        return reason.to_string();
    }
    match reason {
        GuardRefusal::OutsideHours => "ngoài giờ được phép".to_owned(),
        GuardRefusal::RestDay => "ngày nghỉ phát".to_owned(),
        GuardRefusal::StretchTooLong { minutes } => format!("phiên phát đã đủ {minutes} phút"),
        GuardRefusal::DayFull { minutes } => format!("trong ngày đã phát đủ {minutes} phút"),
        GuardRefusal::ClockUnknown => "đồng hồ chưa đáng tin".to_owned(),
        GuardRefusal::ExerciseAtNight => "không diễn tập ban đêm".to_owned(),
    }
}
