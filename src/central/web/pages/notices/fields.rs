//! The form of a notice: from what was sent to its content, and from its content to the fields.

use std::collections::BTreeSet;

use maud::{Markup, html};

use crate::app::App;
use crate::media::converted_from;
use crate::people::Who;
use crate::store::{BoxRow, CampaignRow, MediaRow, NoticeContent, Role, SectionRow, StoreError, Voice};
use crate::web::form::{Faults, Input, Sent};
use crate::web::frame::Frame;
use crate::web::local_time::{date, date_words, time, time_words};
use crate::web::parts::{Kind, icon, state, tag};
use loaxa_heart::domain::announcement::BulletinClass;
use loaxa_heart::domain::ids::{ContentHash, GroupId};
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;
use loaxa_heart::texts::steers;

/// Longest name of a notice, in characters.
const TITLE_CHARS_MAX: usize = 200;
/// Longest name of who answers for it, in characters.
const RESPONSIBLE_CHARS_MAX: usize = 120;
/// Most repetitions that the form offers.
const REPEAT_MAX: u16 = 5;

/// Languages that the engine speaks and villages ask for, by their tags.
const LANGUAGES: [&str; 2] = ["vi", "en"];

/// A form of which every field was read: the content as far as it is right, and the faults of the rest.
pub struct Filled {
    pub content: NoticeContent,
    pub faults: Faults,
    /// The content that the writer saw when they began.
    pub base: Option<ContentHash>,
}

/// The content of a notice that nobody has begun.
pub fn empty() -> NoticeContent {
    NoticeContent {
        title: String::new(),
        text: String::new(),
        language: LANGUAGES[0].to_owned(),
        voice: Voice::Spoken,
        media: None,
        groups: Vec::new(),
        class: BulletinClass::Normal,
        at: None,
        repeat: 1,
        section: None,
        campaign: None,
        responsible: String::new(),
        supersedes: None,
        republish: false,
    }
}

/// Reads a form. What is wrong leaves a fault, and what is right stays.
pub fn read(app: &App, sent: &Sent, now: Wall) -> Filled {
    let mut faults = Faults::default();
    let known = |id: &GroupId| app.settings.groups.iter().any(|group| group.id == *id);
    let merged = app.merged();
    let of_now = |id: GroupId| merged.get(&id).cloned().unwrap_or(id);
    let groups = sent.all("noi").filter_map(|id| id.parse().ok()).filter(known).map(of_now);
    let groups: BTreeSet<GroupId> = groups.collect();
    let plain = |name: &str, max: usize| {
        sent.get(name).trim().chars().filter(|c| !steers(*c)).take(max).collect::<String>()
    };
    let title = plain("ten", TITLE_CHARS_MAX);
    if title.is_empty() {
        faults.add("ten", said!("compose.no_title"));
    }
    if groups.is_empty() {
        faults.add("noi", said!("compose.no_place"));
    }
    let voice = if sent.get("giong") == "tep" { Voice::Audio } else { Voice::Spoken };
    let media = sent.get("tep").parse().ok();
    let text = sent.get("loi").replace("\r\n", "\n");
    let text: String = text.chars().filter(|c| *c == '\n' || !steers(*c)).collect();
    if text.trim().is_empty() && voice == Voice::Spoken {
        faults.add("loi", said!("compose.no_words"));
    }
    if voice == Voice::Audio && media.is_none() {
        faults.add("tep", said!("notice.no_audio"));
    }
    let content = NoticeContent {
        title,
        text,
        language: LANGUAGES
            .into_iter()
            .find(|tag| *tag == sent.get("tieng"))
            .unwrap_or(LANGUAGES[0])
            .to_owned(),
        voice,
        media,
        groups: groups.into_iter().collect(),
        class: if sent.get("loai") == "priority" { BulletinClass::Priority } else { BulletinClass::Normal },
        at: instant(sent, now, &mut faults),
        repeat: sent.get("lan").parse().unwrap_or(1).clamp(1, REPEAT_MAX),
        section: sent.get("chuyen-muc").parse().ok(),
        campaign: sent.get("dot").parse().ok(),
        responsible: plain("nguoi", RESPONSIBLE_CHARS_MAX),
        supersedes: sent.get("thay").parse().ok(),
        republish: !sent.get("dang-lai").is_empty(),
    };
    Filled { content, faults, base: sent.get("goc").parse().ok() }
}

/// The instant that was chosen, in the commune's time.
fn instant(sent: &Sent, now: Wall, faults: &mut Faults) -> Option<Wall> {
    if sent.get("khi") != "gio" {
        return None;
    }
    let day = date(sent.get("ngay"), now.date());
    if day.is_none() {
        faults.add("ngay", said!("compose.bad_date"));
    }
    let hour = time(sent.get("gio"));
    if hour.is_none() {
        faults.add("gio", said!("compose.bad_time"));
    }
    let at = Wall::from_local(day?.and_time(hour?));
    if at <= now {
        faults.add("gio", said!("compose.past"));
    }
    Some(at)
}

/// The sections and campaigns of the commune.
pub struct Subjects {
    sections: Vec<SectionRow>,
    campaigns: Vec<CampaignRow>,
}

impl Subjects {
    /// Reads both lists.
    ///
    /// # Errors
    /// Fails when the store does not answer.
    pub async fn read(app: &App) -> Result<Self, StoreError> {
        Ok(Self { sections: app.store.sections().await?, campaigns: app.store.campaigns().await? })
    }

    /// The section and the campaign of a notice by their titles, where it has them.
    pub fn of<'s>(&'s self, content: &'s NoticeContent) -> Vec<&'s str> {
        let section = content.section.as_ref().map(|id| {
            self.sections.iter().find(|row| row.id == *id).map_or(id.as_str(), |row| row.title.as_str())
        });
        let campaign = content.campaign.as_ref().map(|id| {
            self.campaigns.iter().find(|row| row.id == *id).map_or(id.as_str(), |row| row.title.as_str())
        });
        section.into_iter().chain(campaign).collect()
    }
}

/// Everything that the form is drawn with.
pub struct Form<'a> {
    pub app: &'a App,
    pub frame: &'a Frame,
    pub who: &'a Who,
    pub boxes: &'a [BoxRow],
    pub content: &'a NoticeContent,
    pub faults: &'a Faults,
    pub subjects: &'a Subjects,
    /// The audio that belongs to it now.
    pub media: Option<&'a MediaRow>,
    /// As they were typed, where they could not be read.
    pub typed: (&'a str, &'a str),
}

impl Form<'_> {
    fn say(&self, key: &'static str) -> &'static str {
        self.frame.say(key)
    }

    /// Draws all fields but the buttons.
    pub fn draw(&self) -> Markup {
        html! {
            (Input { hint: Some(self.say("compose.title_hint")), required: false,
                ..Input::text("ten", self.say("compose.title"), &self.content.title) }.draw(self.frame, self.faults))
            (self.words())
            (self.voice())
            (self.places())
            (self.when())
            (self.class())
            (self.republish())
            (self.more())
        }
    }

    fn words(&self) -> Markup {
        let (frame, faults) = (self.frame, self.faults);
        html! {
            div.field.bad[faults.has("loi")] {
                label.lab-l for="loi" { (self.say("compose.words")) }
                p.hint #loi-h { (self.say("compose.words_hint")) }
                (faults.beside(frame, "loi"))
                textarea #loi name="loi" rows="6" aria-describedby="loi-h" { (self.content.text) }
                div.row {
                    button.btn.sec name="viec" value="nghe" { (icon("play")) (self.say("compose.hear")) }
                    @if self.content.voice == Voice::Spoken { (self.listen()) }
                }
                p.hint { a href="/phat-am" { (self.say("pronounce.said_wrongly")) } }
            }
        }
    }

    /// The player of the audio that will sound.
    fn listen(&self) -> Markup {
        html! {
            @if let Some(media) = self.media {
                audio #nghe-thu controls preload="metadata" src={ "/media/" (media.sha256) } {}
                span.mute { (self.frame.tell(&said!("compose.lasts", seconds = media.ms.div_ceil(1_000)))) }
                @if let Some(form) = converted_from(media) {
                    p.mute { (self.frame.tell(&said!("compose.converted", form))) }
                }
            }
        }
    }

    fn voice(&self) -> Markup {
        let is_audio = self.content.voice == Voice::Audio;
        html! {
            fieldset.field.bad[self.faults.has("tep")] {
                legend.lab-l { (self.say("compose.voice")) }
                (self.faults.beside(self.frame, "tep"))
                div {
                    div.pick { input type="radio" name="giong" value="may" id="g1" checked[!is_audio];
                        label for="g1" { (self.say("compose.spoken")) } }
                    div.pick { input type="radio" name="giong" value="tep" id="g2" checked[is_audio];
                        label for="g2" { (self.say("compose.audio")) } }
                    div.panel.stack #tep-am-thanh {
                        input type="hidden" name="tep" id="tep" value=[self.content.media.filter(|_| is_audio)];
                        div #tep-dang-co {
                            @if let (true, Some(media)) = (is_audio, self.media) { p { b { (media.name) } } (self.listen()) }
                        }
                        noscript { p.hint { (self.say("compose.needs_script")) } }
                        div.field hidden data-script {
                            // The browser's own button speaks the browser's language.
                            input.hide #chon-tep type="file" accept="audio/*,video/mp4,.m4a,.mp3,.wav,.ogg,.opus,.flac,.aac";
                            label.btn.sec for="chon-tep" { (self.say("compose.choose_file")) }
                            p.hint { (self.say("compose.resumes")) }
                        }
                        div.stack hidden data-script #ghi-am {
                            svg.meter viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label=(self.say("compose.level")) {
                                rect #muc-tieng.fc.k-ok width="0" height="10" {} }
                            div.btns { button.btn.sec type="button" id="bat-dau-ghi" { (icon("mic")) (self.say("compose.record")) }
                                button.btn.sec type="button" id="dung-ghi" hidden { (icon("stop")) (self.say("compose.record_end")) } }
                        }
                        div hidden #dang-tai { progress.k-normal #tien-do max="100" value="0" {} p #tai-duoc role="status" {} }
                        p.err hidden #tep-loi role="alert" {}
                    }
                }
            }
        }
    }

    fn places(&self) -> Markup {
        let mut groups = self.who.groups(self.app, Role::Writer);
        groups.retain(|group| self.content.groups.contains(group) || self.app.stands(group, self.boxes));
        let chosen: Vec<&BoxRow> =
            self.boxes.iter().filter(|row| in_any(self.app, row, &self.content.groups)).collect();
        let count = said!("compose.places", places = self.content.groups.len(), boxes = chosen.len());
        html! {
            fieldset.field.bad[self.faults.has("noi")] {
                legend.lab-l #noi { (self.frame.tell(&count)) }
                (self.faults.beside(self.frame, "noi"))
                div.picks.two { @for group in &groups { (self.place(group)) } }
            }
        }
    }

    fn place(&self, group: &GroupId) -> Markup {
        let inside: Vec<&BoxRow> =
            self.boxes.iter().filter(|row| in_any(self.app, row, std::slice::from_ref(group))).collect();
        let silent = inside.iter().filter(|row| !row.is_online(self.who.now)).count();
        let id = format!("noi-{group}");
        html! {
            div.pick {
                input type="checkbox" name="noi" value=(group) id=(id) checked[self.content.groups.contains(group)];
                label for=(id) {
                    (self.app.title_of(group)) " "
                    span.mute.nowrap { (self.frame.tell(&said!("compose.boxes", count = inside.len()))) }
                    @if silent > 0 { br; (state(Kind::Unknown, self.frame.tell(&said!("compose.silent", count = silent)))) }
                }
            }
        }
    }

    fn when(&self) -> Markup {
        let at = self.content.at;
        let (day, hour) = match at {
            Some(at) => (date_words(at), time_words(at)),
            None => (self.typed.0.to_owned(), self.typed.1.to_owned()),
        };
        let timed = at.is_some() || !day.is_empty() || !hour.is_empty();
        let bad = self.faults.has("ngay") || self.faults.has("gio");
        html! {
            fieldset.field.bad[bad] {
                legend.lab-l { (self.say("compose.when")) }
                (self.faults.beside(self.frame, "ngay")) (self.faults.beside(self.frame, "gio"))
                div {
                    div.pick { input type="radio" name="khi" value="som" id="k1" checked[!timed];
                        label for="k1" { (self.say("compose.soon")) } }
                    div.pick { input type="radio" name="khi" value="gio" id="k2" checked[timed];
                        label for="k2" { (self.say("compose.at")) } }
                    div.panel { div.row {
                        div { label for="ngay" { (self.say("compose.day")) }
                            input.w-date #ngay name="ngay" value=(day) inputmode="numeric" placeholder="27/11/2026"; }
                        div { label for="gio" { (self.say("compose.hour")) }
                            input.w-time #gio name="gio" value=(hour) inputmode="numeric" placeholder="17:10"; }
                    } }
                }
                div { label for="lan" { (self.say("compose.repeat")) }
                    select.w-date #lan name="lan" {
                        @for times in 1..=REPEAT_MAX {
                            option value=(times) selected[times == self.content.repeat] {
                                (self.frame.tell(&said!("compose.times", count = times))) }
                        }
                    } }
            }
        }
    }

    fn class(&self) -> Markup {
        let class = |kind: Kind,
                     value: &'static str,
                     of: BulletinClass,
                     words: &'static str,
                     does: &'static str| {
            let id = format!("loai-{value}");
            html! {
                div.pick.(kind.class()) {
                    input type="radio" name="loai" value=(value) id=(id) checked[self.content.class == of];
                    label for=(id) { (tag(kind, self.say(words))) br; (self.say(does)) }
                }
            }
        };
        html! {
            fieldset.field {
                legend.lab-l { (self.say("compose.class")) }
                div.picks.boxed {
                    (class(Kind::Normal, "normal", BulletinClass::Normal, "class.normal", "compose.normal_does"))
                    (class(Kind::Priority, "priority", BulletinClass::Priority, "class.priority", "compose.priority_does"))
                }
            }
        }
    }

    fn republish(&self) -> Markup {
        html! {
            fieldset.field {
                legend.lab-l { (self.say("compose.republish")) }
                div.pick {
                    input #dang-lai type="checkbox" name="dang-lai" value="co" checked[self.content.republish];
                    label for="dang-lai" { (self.say("compose.republish_yes")) br;
                        span.mute { (self.say("compose.republish_hint")) } }
                }
            }
        }
    }

    fn more(&self) -> Markup {
        html! {
            details open[self.has_more()] {
                summary { (self.say("compose.more")) }
                div.stack {
                    (Input { required: false, ..Input::text("nguoi", self.say("compose.responsible"), &self.content.responsible) }
                        .draw(self.frame, self.faults))
                    (self.subjects())
                    div.field {
                        label for="tieng" { (self.say("compose.language")) }
                        select #tieng name="tieng" {
                            @for tag in LANGUAGES {
                                option value=(tag) selected[tag == self.content.language] { (self.frame.texts.code("language", tag)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

impl Form<'_> {
    fn has_more(&self) -> bool {
        let content = self.content;
        let has_subject = content.section.is_some() || content.campaign.is_some();
        has_subject || !content.responsible.is_empty() || content.language != LANGUAGES[0]
    }

    /// Section and campaign; those that are over are not offered, unless the notice has them.
    fn subjects(&self) -> Markup {
        let (content, today) = (self.content, self.who.now.date());
        let offered = |row: &&CampaignRow| row.until >= today || content.campaign.as_ref() == Some(&row.id);
        html! {
            div.field { label for="chuyen-muc" { (self.say("compose.section")) }
                select #chuyen-muc name="chuyen-muc" {
                    option value="" { (self.say("compose.none")) }
                    @for row in &self.subjects.sections {
                        option value=(row.id) selected[content.section.as_ref() == Some(&row.id)] { (row.title) }
                    }
                } }
            div.field { label for="dot" { (self.say("compose.campaign")) }
                select #dot name="dot" {
                    option value="" { (self.say("compose.none")) }
                    @for row in self.subjects.campaigns.iter().filter(offered) {
                        option value=(row.id) selected[content.campaign.as_ref() == Some(&row.id)] { (row.title) }
                    }
                } }
        }
    }
}

/// Tells whether a box belongs to one of these groups, by itself or by a group below.
pub fn in_any(app: &App, row: &BoxRow, groups: &[GroupId]) -> bool {
    app.groups_of(&row.groups).iter().any(|group| groups.contains(group))
}
