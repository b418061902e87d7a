//! A central from its start to its end, with the training commune beside it.

use std::sync::Arc;

use crate::settings::{Settings, Training};
use crate::store::StoreError;
use crate::training::TrainingCommune;
use crate::{Central, StartError};

/// Starts central, says where it is, and ends it in order when `shutdown` resolves.
///
/// # Errors
/// As [`Central::start`].
pub async fn run(
    settings: Settings,
    shutdown: impl Future<Output = ()>,
    ready: impl FnOnce(&Central),
) -> Result<(), StartError> {
    let real = settings.clone();
    let central = Central::start(settings).await?;
    let training = match &real.training {
        Training::At(door) => {
            let people = Arc::clone(central.store());
            match TrainingCommune::start(real.clone(), door.clone(), people).await {
                Err(StartError::Store(error @ StoreError::Taken { .. })) if central.has_peers() => {
                    tracing::warn!(%error, "people train at another central");
                    None
                }
                started => Some(started?),
            }
        }
        Training::Nowhere | Training::Here(_) => None,
    };
    ready(&central);
    shutdown.await;
    tracing::info!("central ends");
    if let Some(training) = training {
        training.stop().await;
    }
    central.stop().await;
    Ok(())
}
