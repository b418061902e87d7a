//! Values that a statement is given.

pub use rusqlite::ToSql;

/// The values of a statement, in the order of their numbers.
pub trait Params {
    /// Lends the values.
    fn lend<R>(self, to: impl FnOnce(&[&dyn ToSql]) -> R) -> R;
}

impl Params for &[&dyn ToSql] {
    fn lend<R>(self, to: impl FnOnce(&[&dyn ToSql]) -> R) -> R {
        to(self)
    }
}

/// No values; the type says so, as nothing else tells the type of what is not there.
impl Params for [&(dyn ToSql + Send + Sync); 0] {
    fn lend<R>(self, to: impl FnOnce(&[&dyn ToSql]) -> R) -> R {
        to(&[])
    }
}

macro_rules! arrays {
    ($($count:literal)*) => {
        $(
            impl<T: ToSql> Params for [T; $count] {
                fn lend<R>(self, to: impl FnOnce(&[&dyn ToSql]) -> R) -> R {
                    to(&self.each_ref().map(|value| value as &dyn ToSql))
                }
            }

            impl<T: ToSql> Params for &[T; $count] {
                fn lend<R>(self, to: impl FnOnce(&[&dyn ToSql]) -> R) -> R {
                    to(&self.each_ref().map(|value| value as &dyn ToSql))
                }
            }
        )*
    };
}

arrays! { 1 2 3 4 }

/// Values that an iterator gives.
pub struct ParamsFromIter<I>(I);

/// Takes the values of a statement from an iterator.
pub fn params_from_iter<I: IntoIterator<Item: ToSql>>(values: I) -> ParamsFromIter<I> {
    ParamsFromIter(values)
}

impl<I: IntoIterator<Item: ToSql>> Params for ParamsFromIter<I> {
    fn lend<R>(self, to: impl FnOnce(&[&dyn ToSql]) -> R) -> R {
        let values: Vec<_> = self.0.into_iter().collect();
        let values: Vec<_> = values.iter().map(|value| value as &dyn ToSql).collect();
        to(&values)
    }
}

/// Values of different types, in the order of their numbers.
macro_rules! params {
    ($($value:expr),+ $(,)?) => {
        &[$(&$value as &dyn $crate::store::sql::engine::ToSql),+] as &[&dyn $crate::store::sql::engine::ToSql]
    };
}
pub(crate) use params;
