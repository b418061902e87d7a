//! Promises about deliveries.

use super::*;

pub(super) async fn deliveries_go_forward(store: SharedStore) {
    store.add_command(command("mot", 1)).await.unwrap();
    let step = |step| Event::Delivery { command: "mot".parse().unwrap(), step };
    let not_played = DeliveryStep::NotPlayed { reason: NotPlayed::NoRoom };
    let mut written = Written::new();
    ingest(&store, written.batch([step(DeliveryStep::Staged), step(DeliveryStep::Received)])).await;
    let chain = async || store.deliveries("mot".parse().unwrap()).await.unwrap();
    let of_first = |rows: Vec<DeliveryRow>| rows.into_iter().find(|row| row.id == id("loa-1")).unwrap();
    assert_eq!(of_first(chain().await).step, Step::Staged);
    ingest(&store, written.batch([step(not_played), step(DeliveryStep::Started)])).await;
    let row = of_first(chain().await);
    assert_eq!((row.step, &row.reason), (Step::NotPlayed, &Some(NotHeard::NotPlayed(NotPlayed::NoRoom))));
    assert_eq!(serde_json::to_value(&row).unwrap()["reason"], "{\"because\":\"no_room\"}");
    assert_eq!(chain().await.len(), 2);

    // It went out while it could not be kept, and a box has told of it since.
    let early = Event::Delivery { command: "hai".parse().unwrap(), step: DeliveryStep::Started };
    ingest(&store, written.batch([early])).await;
    store.add_command(command("hai", 2)).await.unwrap();
    let rows = store.deliveries("hai".parse().unwrap()).await.unwrap();
    assert_eq!(rows.len(), 2);
    let row = of_first(rows);
    assert_eq!((row.step, row.sent.is_some()), (Step::Started, true));
}
