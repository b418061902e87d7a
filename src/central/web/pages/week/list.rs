//! The playlists of a programme: their items in order, changed in place.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::NaiveDate;
use maud::{Markup, html};

use super::address::Address;
use super::asked::{Asked, asked};
use super::refusals::{self, Wanted};
use crate::app::App;
use crate::people::Who;
use crate::programmes::NotProposal;
use crate::programmes::proposals::{self, NewText};
use crate::store::{Change, ChangeKind, MediaRow};
use crate::web::form::{Faults, Input, Query, Sent};
use crate::web::frame::{Frame, PageError};
use crate::web::local_time;
use crate::web::parts::icon;
use loaxa_heart::config::programme_edit::{ItemFields, ItemSound, ProgrammeText};
use loaxa_heart::domain::ids::{ContentHash, PlaylistId, SectionId};
use loaxa_heart::domain::programme::{Content, Item, ItemKind, Playlist};
use loaxa_heart::said;
use loaxa_heart::texts::Say;

/// Files of the library that can be chosen.
const FILES_MAX: u32 = 300;
/// Most letters of a title and of spoken words.
const TITLE_CHARS_MAX: usize = 200;
const WORDS_CHARS_MAX: usize = 20_000;

/// A page of a playlist: which list, and which item's form is open.
struct Open<'a> {
    list: Option<&'a Playlist>,
    number: Option<usize>,
    files: Vec<MediaRow>,
    /// There are older files than those.
    are_cut: bool,
}

impl<'a> Open<'a> {
    async fn of(app: &App, asked: &'a Asked, list: &str, number: &str) -> Result<Self, PageError> {
        let lists = &asked.shown.programme.playlists;
        let list = list.parse::<PlaylistId>().ok().and_then(|id| lists.get(&id));
        let number = number.parse::<usize>().ok().filter(|n| list.is_some_and(|list| *n < list.items.len()));
        let mut files = app.store.media_files(String::new(), FILES_MAX + 1).await?;
        let are_cut = files.len() > FILES_MAX as usize;
        files.truncate(FILES_MAX as usize);
        Ok(Self { list, number, files, are_cut })
    }

    fn item(&self) -> Option<&'a Item> {
        self.list?.items.get(self.number?)
    }
}

pub async fn page(
    State(app): State<Arc<App>>,
    query: Query,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    let get = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let address = Address::of_query(&app, &who, &query);
    let asked = asked(&app, &frame, address, get("ct"), "").await?;
    let open = Open::of(&app, &asked, get("danh-sach"), get("muc")).await?;
    Ok(draw(&app, &frame, &asked, &open, &Faults::default(), None))
}

pub async fn act(
    State(app): State<Arc<App>>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let address = Address::of_form(&app, &who, &sent);
    let asked = asked(&app, &frame, address, sent.get("ct"), "").await?;
    let open = Open::of(&app, &asked, sent.get("danh-sach"), sent.get("muc")).await?;
    let here = format!("/tuan/danh-sach?{}&ct={}", asked.address.query(), asked.shown.id);
    let Ok(seen) = sent.get("ban").parse::<ContentHash>() else {
        return Ok(Redirect::to(&here).into_response());
    };
    let mut media = asked.shown.basis.content.media.clone();
    let changed = match changed(&asked, &open, &sent, &mut media) {
        Ok(changed) => changed,
        Err(faults) => return Ok(draw(&app, &frame, &asked, &open, &faults, Some(&sent))),
    };
    let (text, list, title) = match changed {
        Ok(changed) => changed,
        Err(not) => {
            return Ok(draw(&app, &frame, &asked, &open, &Faults::one("ten", not.say()), Some(&sent)));
        }
    };
    let boxes = asked.scene.hearing(&app, &asked.shown.programme.group, &[]).len() as u32;
    let (kind, day) = (ChangeKind::ListChanged, None);
    let change = Change { kind, title: title.clone(), day, before: None, after: None, boxes };
    let new = NewText { seen, text, media, change };
    let again = format!("{here}&danh-sach={list}");
    let Err(not) = proposals::change(&app, &who, &asked.shown.basis, new).await else {
        return Ok(Redirect::to(&again).into_response());
    };
    let wanted = Wanted { seen: Some(seen), before: None, after: None, title: &title, again: &again };
    match refusals::answer(&app, &frame, not, wanted).await? {
        Ok(answered) => Ok(answered),
        Err(not) => Ok(draw(&app, &frame, &asked, &open, &Faults::one("ten", not.say()), Some(&sent))),
    }
}

/// The changed text, the list that it changes, and its title.
type Changed = (String, PlaylistId, String);

/// Makes the text that a form asks for.
///
/// # Errors
/// Lists the faults of the form; inside, what the text does not let do.
fn changed(
    asked: &Asked,
    open: &Open<'_>,
    sent: &Sent,
    media: &mut BTreeMap<String, ContentHash>,
) -> Result<Result<Changed, NotProposal>, Faults> {
    let mut text = match ProgrammeText::open(&asked.shown.basis.content.text) {
        Ok(text) => text,
        Err(not) => return Ok(Err(not.into())),
    };
    let done = match (open.list, open.number, sent.get("viec")) {
        (Some(list), Some(number), "bo") => text.remove_item(&list.id, number).map(|()| list.id.clone()),
        (Some(list), Some(number), "len") => text.raise_item(&list.id, number).map(|()| list.id.clone()),
        (Some(list), Some(number), _) => {
            let fields = fields(asked, open, sent, media)?;
            text.change_item(&list.id, number, &fields).map(|()| list.id.clone())
        }
        (Some(list), None, _) => {
            let fields = fields(asked, open, sent, media)?;
            text.add_item(&list.id, &fields).map(|()| list.id.clone())
        }
        (None, ..) => {
            let title = sent.get("ten-danh-sach").trim();
            if title.is_empty() || title.chars().count() > TITLE_CHARS_MAX {
                return Err(Faults::one("ten-danh-sach", said!("week.bad_title", max = TITLE_CHARS_MAX)));
            }
            let fields = fields(asked, open, sent, media)?;
            text.add_playlist(title, &fields)
        }
    };
    let title =
        open.list.map_or_else(|| sent.get("ten-danh-sach").trim().to_owned(), |list| list.title.clone());
    Ok(done.map(|list| (text.text(), list, title)).map_err(NotProposal::from))
}

fn fields(
    asked: &Asked,
    open: &Open<'_>,
    sent: &Sent,
    media: &mut BTreeMap<String, ContentHash>,
) -> Result<ItemFields, Faults> {
    let mut faults = Faults::default();
    let title = sent.get("ten").trim().to_owned();
    if title.is_empty() || title.chars().count() > TITLE_CHARS_MAX {
        faults.add("ten", said!("week.bad_title", max = TITLE_CHARS_MAX));
    }
    let words = sent.get("loi").trim().replace("\r\n", "\n");
    let file = sent.get("tep").parse::<ContentHash>().ok();
    let file = file.and_then(|hash| open.files.iter().find(|file| file.sha256 == hash));
    let relay = sent.get("dai").trim();
    let sound = match (file, relay, words.as_str(), open.item()) {
        (Some(file), ..) => {
            let path = path_of(file);
            media.insert(path.clone(), file.sha256);
            ItemSound::File(path)
        }
        (None, relay, ..) if !relay.is_empty() => ItemSound::Relay(relay.to_owned()),
        (None, _, words, _) if !words.is_empty() => ItemSound::Text(words.to_owned()),
        (None, _, _, Some(_)) => ItemSound::Unchanged,
        _ => {
            faults.add("loi", said!("week.nothing_to_say"));
            ItemSound::Unchanged
        }
    };
    if words.chars().count() > WORDS_CHARS_MAX {
        faults.add("loi", said!("week.long_words", max = WORDS_CHARS_MAX));
    }
    let mut day = |name: &'static str| match sent.get(name).trim() {
        "" => None,
        text => {
            let day = local_time::date(text, asked.address.day);
            if day.is_none() {
                faults.add(name, said!("compose.bad_date"));
            }
            day
        }
    };
    let (valid_from, valid_until) = (day("tu-ngay"), day("den-ngay"));
    let section = sent.get("chuyen-muc").parse::<SectionId>().ok();
    let section = section.filter(|id| asked.shown.programme.sections.contains_key(id));
    let licence = Some(sent.get("giay-phep").trim().to_owned()).filter(|text| !text.is_empty());
    if !faults.is_empty() {
        return Err(faults);
    }
    let is_music = sent.get("nhac") == "co";
    Ok(ItemFields { title, sound, section, licence, valid_from, valid_until, is_music })
}

/// The path under which a programme names a file of the library: its hash keeps two of one name apart.
fn path_of(file: &MediaRow) -> String {
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_') { letter } else { '-' }
    };
    let name: String = file.name.chars().map(plain).collect();
    let hash = file.sha256.to_string();
    format!("kho/{}-{}", &hash[..12], name.trim_matches(['.', '-']))
}

fn draw(
    app: &Arc<App>,
    frame: &Frame,
    asked: &Asked,
    open: &Open<'_>,
    faults: &Faults,
    sent: Option<&Sent>,
) -> Response {
    let here = format!("/tuan/danh-sach?{}&ct={}", asked.address.query(), asked.shown.id);
    let title = open.list.map_or_else(|| frame.say("week.lists").to_owned(), |list| list.title.clone());
    let form = ItemForm { frame, asked, open, faults, sent };
    let content = html! {
        div { a.back href=(asked.address.week()) { (icon("back")) (frame.say("week.title")) } h1 { (title) }
            p.mute { (asked.shown.programme.title) } }
        (faults.summary(frame))
        @match open.list {
            None => {
                ul.list { @for list in asked.shown.programme.playlists.values() {
                    li.row.apart { a href={ (here) "&danh-sach=" (list.id) } { b { (list.title) } }
                        span.mute { (frame.tell(&said!("week.items", count = list.items.len()))) (used(frame, asked, list)) } } } }
            },
            Some(list) => {
                p { a href=(here) { (frame.say("week.all_lists")) } (used(frame, asked, list)) }
                ol.list { @for (number, item) in list.items.iter().enumerate() { li { (row(frame, asked, list, number, item, &here)) } } }
            },
        }
        (form.draw())
    };
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    (status, frame.draw(app, &title, content)).into_response()
}

/// The slots in which a list sounds.
fn used(frame: &Frame, asked: &Asked, list: &Playlist) -> Markup {
    let slots = asked.shown.programme.slots.iter().filter(|slot| slot.playlist == list.id);
    let names: Vec<_> = slots.map(|slot| format!("{} {}", slot.start.format("%H:%M"), slot.title)).collect();
    html! { @if !names.is_empty() { " · " (frame.tell(&said!("week.used_in", slots = names.join(", ")))) } }
}

fn row(frame: &Frame, asked: &Asked, list: &Playlist, number: usize, item: &Item, here: &str) -> Markup {
    let until = item.valid_until.map(|day| said!("week.valid_until", day = day.format("%d/%m/%Y")));
    let label = |words: &str| format!("{words}: {}", item.title);
    let button = |value: &str, words: &'static str| {
        html! {
            form method="post" action="/tuan/danh-sach" {
                (hidden(asked, Some(list), Some(number)))
                button.btn.sec name="viec" value=(value) aria-label=(label(words)) { (words) }
            }
        }
    };
    html! {
        b { (number + 1) ". " (item.title) } br;
        span.mute { (sound(frame, asked, item)) @if let Some(until) = until { " · " (frame.tell(&until)) }
            @if let Some(licence) = &item.licence { " · " (licence) } }
        div.btns {
            a.btn.sec href={ (here) "&danh-sach=" (list.id) "&muc=" (number) "#sua-muc" } aria-label=(label(frame.say("week.edit"))) { (frame.say("week.edit")) }
            @if number > 0 { (button("len", frame.say("week.raise"))) }
            @if list.items.len() > 1 { (button("bo", frame.say("week.take_out"))) }
        }
    }
}

fn sound(frame: &Frame, asked: &Asked, item: &Item) -> Markup {
    match &item.content {
        Content::File { path, ms } => {
            let path = path.strip_prefix("sent").unwrap_or(path).display().to_string();
            let hash = asked.shown.basis.content.media.get(&path);
            html! {
                (frame.say("week.file")) @if let Some(ms) = ms { ", " (frame.tell(&said!("compose.lasts", seconds = ms.div_ceil(1_000)))) }
                @if let Some(hash) = hash { br; audio controls preload="none" src={ "/media/" (hash) } {} }
            }
        }
        Content::Text { text, .. } => {
            html! { (frame.say("week.spoken")) ": " (text.chars().take(90).collect::<String>()) }
        }
        Content::Relay { url, .. } => {
            html! { (frame.say("week.relay")) ": " a href=(url) rel="noreferrer" { (frame.say("week.listen_relay")) } }
        }
        Content::Playlist(id) => html! { (frame.say("week.list")) ": " (id) },
    }
}

/// Names the list, the item and what of the programme the writer saw.
fn hidden(asked: &Asked, list: Option<&Playlist>, number: Option<usize>) -> Markup {
    html! {
        input type="hidden" name="noi" value=(asked.address.group);
        input type="hidden" name="ngay" value=(asked.address.day);
        input type="hidden" name="ct" value=(asked.shown.id);
        input type="hidden" name="ban" value=(asked.shown.basis.digest);
        @if let Some(list) = list { input type="hidden" name="danh-sach" value=(list.id); }
        @if let Some(number) = number { input type="hidden" name="muc" value=(number); }
    }
}

/// The form of an item: the one that is open, or a new one.
struct ItemForm<'a> {
    frame: &'a Frame,
    asked: &'a Asked,
    open: &'a Open<'a>,
    faults: &'a Faults,
    sent: Option<&'a Sent>,
}

impl ItemForm<'_> {
    fn value(&self, name: &str, kept: Option<String>) -> String {
        self.sent.map_or(kept.unwrap_or_default(), |sent| sent.get(name).to_owned())
    }

    fn draw(&self) -> Markup {
        let ItemForm { frame, asked, open, faults, .. } = self;
        let item = open.item();
        let day = |day: Option<NaiveDate>| day.map(|day| day.format("%d/%m/%Y").to_string());
        let title = self.value("ten", item.map(|item| item.title.clone()));
        let words = self.value(
            "loi",
            item.and_then(|item| match &item.content {
                Content::Text { text, .. } => Some(text.clone()),
                _ => None,
            }),
        );
        let relay = self.value(
            "dai",
            item.and_then(|item| match &item.content {
                Content::Relay { url, .. } => Some(url.clone()),
                _ => None,
            }),
        );
        let from = self.value("tu-ngay", item.and_then(|item| day(item.valid_from)));
        let until = self.value("den-ngay", item.and_then(|item| day(item.valid_until)));
        let licence = self.value("giay-phep", item.and_then(|item| item.licence.clone()));
        let list_title = self.value("ten-danh-sach", None);
        let music = self
            .sent
            .map_or(item.is_some_and(|item| item.kind == ItemKind::Music), |sent| sent.get("nhac") == "co");
        let heading = match (open.list, item) {
            (None, _) => "week.new_list",
            (Some(_), None) => "week.new_item",
            (Some(_), Some(_)) => "week.edit_item",
        };
        let optional = |id, label, value| Input { required: false, ..Input::text(id, label, value) };
        html! {
            section.stack.narrow aria-labelledby="sua-muc" {
                h2 #sua-muc { (frame.say(heading)) }
                form.stack method="post" action="/tuan/danh-sach" {
                    (hidden(asked, open.list, open.number))
                    @if open.list.is_none() { (Input::text("ten-danh-sach", frame.say("week.list_title"), &list_title).draw(frame, faults)) }
                    (Input::text("ten", frame.say("week.item_title"), &title).draw(frame, faults))
                    div.field.bad[faults.has("loi")] { label for="loi" { (frame.say("week.item_words")) }
                        (faults.beside(frame, "loi"))
                        textarea #loi name="loi" { "\n" (words) } }
                    div.field { label for="tep" { (frame.say("week.item_file")) }
                        select #tep name="tep" { option value="" { (frame.say("compose.none")) }
                            @for file in &open.files { option value=(file.sha256) { (file.name) ", " (frame.tell(&said!("compose.lasts", seconds = file.ms.div_ceil(1_000)))) } } }
                        @if open.are_cut { p.hint { (frame.tell(&said!("page.newest", shown = FILES_MAX))) } }
                        p { a href="/kho-am-thanh" { (frame.say("library.title")) } } }
                    (optional("dai", frame.say("week.item_relay"), &relay).draw(frame, faults))
                    div.pick { input type="checkbox" id="nhac" name="nhac" value="co" checked[music]; label for="nhac" { (frame.say("week.is_music")) } }
                    (self.sections(item))
                    (optional("tu-ngay", frame.say("week.valid_from_label"), &from).draw(frame, faults))
                    (optional("den-ngay", frame.say("week.valid_until_label"), &until).draw(frame, faults))
                    (optional("giay-phep", frame.say("week.licence"), &licence).draw(frame, faults))
                    div.btns { button.btn name="viec" value="ghi" { (frame.say(if item.is_some() { "week.keep" } else { "week.add_item" })) } }
                }
            }
        }
    }

    fn sections(&self, item: Option<&Item>) -> Markup {
        let kept = item.and_then(|item| item.section.as_ref()).map(SectionId::to_string);
        let chosen = self.value("chuyen-muc", kept);
        html! {
            div.field { label for="chuyen-muc" { (self.frame.say("compose.section")) }
                select #chuyen-muc name="chuyen-muc" { option value="" { (self.frame.say("compose.none")) }
                    @for section in self.asked.shown.programme.sections.values() {
                        option value=(section.id) selected[section.id.as_str() == chosen] { (section.title) } } } }
        }
    }
}
