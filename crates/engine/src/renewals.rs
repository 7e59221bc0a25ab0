//! Asks CAs when they want certificates to be renewed (RFC 9773), in a lane of its own: at a million certificates these
//! requests outnumber those of all orders by ten.

use std::{sync::Arc, time::Duration};

use certmill_model::{Forecast, RenewalAnswer, RenewalPlan, Validity};
use certmill_store::{AnsweredRenewal, ClaimedDomain, DueRenewalInfo, StoreError};
use futures_util::{StreamExt as _, stream};
use tokio::{
    sync::{Mutex, watch},
    time::Instant,
};

use crate::Engine;

/// How often somebody looks whether a CA is to be asked.
const POLL: Duration = Duration::from_secs(2);

/// How long nobody is asked when none of a batch was answered.
const AFTER_NOTHING: Duration = Duration::from_secs(30);

/// Certificates that are taken at a time, and requests in flight.
const BATCH: i64 = 256;
const AT_A_TIME: usize = 16;

/// How long what is planned is counted on before it is counted anew. What this process plans meanwhile is added.
const FORECAST_LASTS: Duration = Duration::from_secs(600);

/// How many renewals are planned for each hour, as far as this process knows.
#[derive(Default)]
pub(crate) struct Planned(Mutex<Option<(Instant, Forecast)>>);

impl Engine {
    /// Plans with what is planned already.
    pub(crate) async fn with_forecast<T>(
        &self,
        plan: impl FnOnce(&mut Forecast) -> T,
    ) -> Result<T, StoreError> {
        let mut kept = self.planned.0.lock().await;
        if let Some((_, forecast)) = &mut *kept {
            return Ok(plan(forecast));
        }
        let counted = self.parts.store.planned_renewals().await?;
        let (_, forecast) = kept.insert((Instant::now(), Forecast::from_counts(counted)));
        Ok(plan(forecast))
    }

    /// Counts anew what is planned once in a while; those who plan meanwhile use what was known.
    async fn count_planned(&self) -> Result<(), StoreError> {
        let is_old =
            |kept: &Option<(Instant, _)>| kept.as_ref().is_some_and(|(at, _)| at.elapsed() >= FORECAST_LASTS);
        if !is_old(&*self.planned.0.lock().await) {
            return Ok(());
        }
        let counted = Forecast::from_counts(self.parts.store.planned_renewals().await?);
        *self.planned.0.lock().await = Some((Instant::now(), counted));
        Ok(())
    }

    /// When a certificate that has just come is renewed, and when its CA is asked about that.
    pub(crate) async fn plan_renewal(
        &self,
        domain: &ClaimedDomain,
        validity: Validity,
        asks_ca: bool,
    ) -> Result<RenewalPlan, StoreError> {
        let before = domain.situation.renew_after;
        let plan = |forecast: &mut Forecast| {
            if let Some(before) = before {
                forecast.remove(before);
            }
            let plan = RenewalPlan::first(validity, asks_ca, forecast, &self.parts.chance, self.now());
            forecast.add(plan.renew_at);
            plan
        };
        self.with_forecast(plan).await
    }
}

/// Asks until `stop` turns true. What goes wrong is logged and tried again.
pub(crate) async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        crate::measure::tick("renewals", engine.now());
        let pause = match ask_due(&engine).await {
            Ok(pause) => pause,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "cannot ask when certificates are to be renewed; trying again");
                POLL
            }
        };
        tokio::select! {
            _ = stop.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Asks for a batch of those that are due; answers how long to wait until the next.
async fn ask_due(engine: &Engine) -> Result<Duration, StoreError> {
    engine.count_planned().await?;
    let store = &engine.parts.store;
    let due = store.take_due_renewal_infos(BATCH, engine.now()).await?;
    let asked = due.len();
    let answers: Vec<_> =
        stream::iter(due).map(|one| ask(engine, one)).buffer_unordered(AT_A_TIME).collect().await;
    if !answers.is_empty() {
        let follow = |forecast: &mut Forecast| -> Vec<_> {
            answers.iter().map(|(due, answer)| follow(engine, due, answer, forecast)).collect()
        };
        let answered = engine.with_forecast(follow).await?;
        store.renewal_infos_answered(&answered, engine.now()).await?;
    }
    let is_busy = |(_, answer): &(_, RenewalAnswer)| matches!(answer, RenewalAnswer::Busy { .. });
    Ok(match asked {
        // Nobody answers at all: those behind would not fare better.
        1.. if answers.iter().all(is_busy) => AFTER_NOTHING,
        // A full batch has others behind it.
        asked if asked >= BATCH as usize => Duration::ZERO,
        _ => POLL,
    })
}

/// Asks one CA. One that is not configured any more, or fails on its side, is not bothered.
async fn ask(engine: &Engine, due: DueRenewalInfo) -> (DueRenewalInfo, RenewalAnswer) {
    let busy = RenewalAnswer::Busy { retry_after: None };
    let Some(authority) = engine.authority_at(&due.directory_url) else {
        return (due, RenewalAnswer::Useless);
    };
    if authority.available(engine.now()).is_err() {
        return (due, busy);
    }
    let answer = match engine.open(authority).await {
        Ok(open) => open.client.renewal_info(&due.identifier).await,
        Err(_) => busy,
    };
    (due, answer)
}

fn follow(
    engine: &Engine,
    due: &DueRenewalInfo,
    answer: &RenewalAnswer,
    forecast: &mut Forecast,
) -> AnsweredRenewal {
    let plan = due.plan.answered(due.validity, answer, forecast, &engine.parts.chance, engine.now());
    if plan.renew_at != due.plan.renew_at {
        forecast.remove(due.plan.renew_at);
        forecast.add(plan.renew_at);
    }
    AnsweredRenewal { certificate_id: due.certificate_id, plan }
}
