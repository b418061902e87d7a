//! The acts on a box's page: move it, put it on the map, work on it, shut it out.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::keepers::may_keep;
use super::one::draw;
use crate::app::App;
use crate::boxes::enrolment;
use crate::changes::Changed;
use crate::orders::announce;
use crate::orders::documents::{self, GroupsAsked};
use crate::orders::refused::Refused;
use crate::people::Who;
use crate::programmes::{NotProposal, volume};
use crate::settings::{BoxDeclared, village_of};
use crate::store::{Maintenance, NewAct};
use crate::web::form::{Faults, Sent};
use crate::web::frame::{Frame, PageError, refusal};
use crate::web::pages::point::read_point;
use crate::web::pages::trouble::boxes_in_village;
use crate::web::texts::TEXTS;
use loaxa_heart::domain::ids::{BoxId, GroupId};
use loaxa_heart::domain::time::Span;
use loaxa_heart::said;
use loaxa_heart::texts::{Lang, Say, Sentence};

/// Longest note, and longest work on a box.
const NOTE_CHARS_MAX: usize = 200;
const HOURS_MAX: u64 = 14 * 24;

/// Somebody at a box's page.
struct Asked<'a> {
    app: &'a Arc<App>,
    frame: &'a Frame,
    who: &'a Who,
    sent: &'a Sent,
    declared: BoxDeclared,
}

impl Asked<'_> {
    fn id(&self) -> &BoxId {
        &self.declared.id
    }

    fn act(&self, act: &'static str, after: impl Into<String>) -> NewAct {
        NewAct { after: Some(after.into()), ..self.who.act(act, self.id().as_str()) }
    }

    /// Goes back to the page, and lets others see what changed.
    fn done(&self) -> Response {
        self.app.changes.tell(Changed::Boxes);
        self.app.changes.tell(Changed::Alarms);
        Redirect::to(&format!("/cum-loa/{}", self.id())).into_response()
    }

    async fn fault(&self, field: &'static str, said: Sentence) -> Result<Response, PageError> {
        let faults = Faults::one(field, said);
        draw(self.app, self.frame, self.who, self.id().as_str(), &faults, self.sent).await
    }
}

/// Finds the box.
///
/// # Errors
/// Answers why not, where there is none or the person may not change it.
async fn asked<'a>(
    app: &'a Arc<App>,
    frame: &'a Frame,
    who: &'a Who,
    sent: &'a Sent,
    id: &str,
) -> Result<Asked<'a>, PageError> {
    let declared = match id.parse::<BoxId>() {
        Ok(id) => app.store.enrolled(id).await?,
        Err(_) => None,
    };
    let no = |status, said| Err(refusal(app, frame, status, &said).into());
    match declared {
        None => no(StatusCode::NOT_FOUND, said!("box_page.no_such")),
        Some(declared) if !may_keep(app, who, &declared.groups) => {
            no(StatusCode::FORBIDDEN, said!("page.not_your_group"))
        }
        Some(declared) => Ok(Asked { app, frame, who, sent, declared }),
    }
}

pub async fn move_to(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let asked = asked(&app, &frame, &who, &sent, &id).await?;
    let group = sent.get("nhom").parse::<GroupId>().ok();
    let known = group.filter(|group| app.settings.groups.iter().any(|it| it.id == *group));
    let Some(group) = known else { return asked.fault("nhom", said!("box_page.choose_village")).await };
    if !may_keep(&app, &who, std::slice::from_ref(&group)) {
        return Ok(refusal(&app, &frame, StatusCode::FORBIDDEN, &said!("page.not_your_group")));
    }
    let members = BTreeMap::from([(asked.id().clone(), vec![group.clone()])]);
    let order = GroupsAsked { members, author: Some(who.person.name.clone()), approver: None };
    match documents::send_groups(&app, order).await {
        Ok(_) => {
            let before = asked.declared.groups.iter().map(GroupId::as_str).collect::<Vec<_>>().join(", ");
            let act = NewAct { before: Some(before), ..asked.act("box_moved", group.as_str()) };
            app.store.note_act(act).await?;
            Ok(asked.done())
        }
        Err(Refused::Store(error)) => Err(error.into()),
        Err(refused) => asked.fault("nhom", refused.say()).await,
    }
}

pub async fn set_point(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let asked = asked(&app, &frame, &who, &sent, &id).await?;
    match read_point(&sent) {
        Ok(point) => {
            let after = point.map(|point| format!("{}, {}", point.latitude, point.longitude));
            let act = asked.act("place_changed", after.unwrap_or_default());
            app.store.set_point(asked.id().clone(), point, act).await?;
            Ok(asked.done())
        }
        Err((field, said)) => asked.fault(field, said).await,
    }
}

pub async fn maintain(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let asked = asked(&app, &frame, &who, &sent, &id).await?;
    let hours = sent.get("gio").parse::<u64>().unwrap_or(HOURS_MAX + 1);
    if hours == 0 {
        app.store.set_maintenance(asked.id().clone(), None, asked.act("maintenance_ended", "")).await?;
        return Ok(asked.done());
    }
    let note = sent.get("ghi-chu").trim().to_owned();
    if note.is_empty() || note.chars().count() > NOTE_CHARS_MAX || hours > HOURS_MAX {
        return asked.fault("ghi-chu", said!("box_page.note_needed", max = NOTE_CHARS_MAX)).await;
    }
    let until = who.now.plus(Span::secs(hours * 3_600));
    let act = asked.act("maintenance_begun", format!("{until}: {note}"));
    let work = Maintenance { by: who.person.id.clone(), note, until };
    app.store.set_maintenance(asked.id().clone(), Some(work), act).await?;
    Ok(asked.done())
}

/// Has the box's village sound a short test. What its microphone heard stands with the play in its log.
pub async fn sound_test(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let asked = asked(&app, &frame, &who, &sent, &id).await?;
    let parents = app.settings.parents();
    let Some(village) = village_of(&asked.declared.groups, &parents).cloned() else {
        return asked.fault("phat-thu", said!("box_page.choose_village")).await;
    };
    let vi = |key: &'static str| TEXTS.of(Lang::Vi).say(key).to_owned();
    let test = announce::Asked::test(
        vec![village.clone()],
        vi("box_page.test_title"),
        vi("box_page.test_words"),
        who.person.name.clone(),
    );
    match announce::announce(&app, test, None).await {
        Ok(command) => {
            app.store.note_act(asked.act("box_tested", format!("{village} · {command}"))).await?;
            Ok(asked.done())
        }
        Err(Refused::Store(error)) => Err(error.into()),
        Err(refused) => asked.fault("phat-thu", refused.say()).await,
    }
}

/// Asks for another highest volume of the box's village; it is in force when somebody else has approved.
pub async fn set_volume(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let asked = asked(&app, &frame, &who, &sent, &id).await?;
    let parents = app.settings.parents();
    let village = village_of(&asked.declared.groups, &parents).cloned();
    let Some(village) = village.filter(|village| may_keep(&app, &who, std::slice::from_ref(village))) else {
        return asked.fault("am-luong", said!("box_page.choose_village")).await;
    };
    let volume = match volume::of(&app, &village).await {
        Ok(volume) => volume,
        Err(NotProposal::Store(error)) => return Err(error.into()),
        Err(not) => return asked.fault("am-luong", not.say()).await,
    };
    let Some(volume) = volume else { return asked.fault("am-luong", said!("box_page.no_limits")).await };
    let percent = sent.get("am-luong").parse().ok().filter(|percent| volume.choices().contains(percent));
    let Some(percent) = percent else {
        return asked.fault("am-luong", said!("box_page.bad_volume", max = volume.max)).await;
    };
    let boxes = boxes_in_village(&app, &app.store.boxes().await?, &village);
    match volume::ask(&app, &who, volume, percent, boxes as u32).await {
        Ok(()) => Ok(asked.done()),
        Err(NotProposal::Store(error)) => Err(error.into()),
        Err(not) => asked.fault("am-luong", not.say()).await,
    }
}

pub async fn revoke(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let asked = asked(&app, &frame, &who, &sent, &id).await?;
    if sent.get("chac-chan") != "co" {
        return asked.fault("chac-chan", said!("box_page.be_sure")).await;
    }
    enrolment::revoke(&app, asked.id()).await?;
    app.store.note_act(who.act("box_revoked", asked.id().as_str())).await?;
    Ok(asked.done())
}
