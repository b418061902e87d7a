//! Receipts for messages that a broker acknowledges.

use std::collections::{BTreeMap, VecDeque};

use tokio::sync::oneshot;

/// The end of a receipt at which it is written.
pub struct Told(oneshot::Sender<()>);

/// The broker's word that it has a message; it never comes where the connection ended before.
pub struct Receipt(oneshot::Receiver<()>);

impl Receipt {
    /// A receipt that waits, and its other end.
    pub fn pair() -> (Told, Self) {
        let (told, receipt) = oneshot::channel();
        (Told(told), Self(receipt))
    }

    /// Waits for the broker's word; false where the connection ended without it.
    pub async fn has_come(self) -> bool {
        self.0.await.is_ok()
    }
}

/// The receipts of one connection. The client library numbers messages when they go out, in the order in which it got them.
#[derive(Default)]
pub struct Receipts {
    /// One for each message that was handed over and did not go out yet.
    handed: VecDeque<Option<Told>>,
    /// Those of messages that went out under these numbers.
    out: BTreeMap<u16, Told>,
}

impl Receipts {
    /// Notes a message, and whoever wants a receipt for it.
    pub fn handed_over(&mut self, told: Option<Told>) {
        self.handed.push_back(told);
    }

    /// Notes that the next message went out under this number.
    pub fn went_out(&mut self, packet: u16) {
        if let Some(told) = self.handed.pop_front().flatten() {
            self.out.insert(packet, told);
        }
    }

    /// Gives out the receipt of a message that the broker has.
    pub fn acknowledged(&mut self, packet: u16) {
        if let Some(Told(told)) = self.out.remove(&packet) {
            // Whoever wanted it may have gone.
            let _ = told.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_of_its_own_message_and_of_its_own_connection() {
        let mut receipts = Receipts::default();
        let [first, second, third] = std::array::from_fn(|_| {
            receipts.handed_over(None);
            let (told, receipt) = Receipt::pair();
            receipts.handed_over(Some(told));
            receipt
        });
        (1..=5).for_each(|packet| receipts.went_out(packet));
        receipts.acknowledged(1);
        receipts.acknowledged(4);
        let is_here = |Receipt(mut told): Receipt| told.try_recv();
        assert_eq!(is_here(second), Ok(()));
        assert_eq!(is_here(first), Err(oneshot::error::TryRecvError::Empty));
        drop(receipts);
        assert_eq!(is_here(third), Err(oneshot::error::TryRecvError::Closed));
    }
}
