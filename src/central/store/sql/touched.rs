//! Changes that operations make on the writing thread. Whoever remembers what was read is told once they are on disk.

use std::cell::RefCell;
use std::collections::BTreeSet;

use loaxa_heart::domain::ids::BoxId;

/// The changes of one commit that matter to what is remembered of commands.
#[derive(Debug, Default)]
pub struct Touched {
    /// A command or a document was added, or ended.
    pub commands: bool,
    /// Boxes with whom a delivery came further.
    pub boxes: BTreeSet<BoxId>,
}

thread_local! {
    static TOUCHED: RefCell<Touched> = RefCell::default();
}

/// Notes that commands changed.
pub fn commands() {
    TOUCHED.with_borrow_mut(|touched| touched.commands = true);
}

/// Notes that a delivery to a box changed.
pub fn delivery(id: &BoxId) {
    TOUCHED.with_borrow_mut(|touched| {
        if !touched.boxes.contains(id) {
            touched.boxes.insert(id.clone());
        }
    });
}

/// Looks at what was noted on this thread since the last time.
pub fn look<T>(at: impl FnOnce(&Touched) -> T) -> T {
    TOUCHED.with_borrow(at)
}

/// Takes what was noted on this thread since the last time.
pub fn take() -> Touched {
    TOUCHED.take()
}
