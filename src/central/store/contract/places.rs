//! Promises about places.

use super::*;

pub(super) async fn what_staff_say_of_places_is_kept(store: SharedStore) {
    let point = Some(Point { latitude: 20.98, longitude: 105.74 });
    let place =
        PlaceRow {
            group: group("thon-1"), title: Some("Thôn Một".to_owned()), households: Some(90), point
        };
    store.set_place(PlaceRow { title: None, ..place.clone() }, act()).await.unwrap();
    store.set_place(place.clone(), act()).await.unwrap();
    assert_eq!(store.places().await.unwrap(), [place]);
    let work = Maintenance { by: "an".parse().unwrap(), note: "thay âm ly".to_owned(), until: at(60) };
    store.set_maintenance(id("loa-1"), Some(work.clone()), act()).await.unwrap();
    store.set_point(id("loa-1"), point, act()).await.unwrap();
    assert_eq!(store.sites().await.unwrap(), [SiteRow { id: id("loa-1"), point, maintenance: Some(work) }]);
    store.set_maintenance(id("loa-1"), None, act()).await.unwrap();
    assert_eq!(store.sites().await.unwrap(), [SiteRow { id: id("loa-1"), point, maintenance: None }]);
    let section = SectionRow { id: "y-te".parse().unwrap(), title: "Y tế".to_owned() };
    store.set_section(section.clone(), act()).await.unwrap();
    assert_eq!(store.sections().await.unwrap(), [section]);
    let (from, until) = (NOW.date(), at(86_400 * 30).date());
    let (id, title, responsible) = ("tiem".parse().unwrap(), "Tiêm phòng".to_owned(), "Trạm y tế".to_owned());
    let campaign = CampaignRow { id, title, from, until, responsible };
    store.set_campaign(campaign.clone(), act()).await.unwrap();
    assert_eq!(store.campaigns().await.unwrap(), [campaign]);
    assert_eq!(store.acts(ActFilter { limit: 10, ..ActFilter::default() }).await.unwrap().len(), 7);
}
