//! What this process counts: kept for whoever asks, and answered on a listener of its own where one is set.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use certmill_web::{Counters, metrics_router};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::{net::TcpListener, sync::watch};

use crate::{config::Config, trouble::Trouble};

/// How often what was recorded is put in order.
const UPKEEP: Duration = Duration::from_secs(5);

/// The bounds of what is spread over seconds, minutes or days.
const REQUESTS: [f64; 8] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
const ORDERS: [f64; 8] = [0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 600.0];
const LATENESS: [f64; 7] = [60.0, 600.0, 3_600.0, 21_600.0, 86_400.0, 259_200.0, 604_800.0];

/// Begins to count; what it returns says what was counted.
pub(crate) fn begin() -> Counters {
    let bounds: [(&str, &[f64]); 3] = [
        ("certmill_acme_request_duration_seconds", &REQUESTS),
        ("certmill_order_duration_seconds", &ORDERS),
        ("certmill_renewal_lateness_seconds", &LATENESS),
    ];
    let builder = bounds.into_iter().fold(PrometheusBuilder::new(), |builder, (name, bounds)| {
        let matcher = Matcher::Full(name.to_owned());
        builder.set_buckets_for_metric(matcher, bounds).expect("the bounds are some")
    });
    let handle = builder.install_recorder().expect("this process begins to count once");
    metrics::gauge!("certmill_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    tokio::spawn(keep_up(handle.clone()));
    Arc::new(move || handle.render())
}

async fn keep_up(handle: PrometheusHandle) -> Infallible {
    loop {
        tokio::time::sleep(UPKEEP).await;
        handle.run_upkeep();
    }
}

/// Answers on `metrics.listen`, if it is set, until `stopped` turns true.
pub(crate) async fn listen(
    config: &Config,
    counters: Counters,
    mut stopped: watch::Receiver<bool>,
) -> Result<Option<impl Future<Output = ()> + Send + 'static>, Trouble> {
    let text = &config.metrics.listen;
    if text.is_empty() {
        return Ok(None);
    }
    let address: SocketAddr = text.parse().map_err(|error| {
        Trouble::new(
            format!("metrics.listen: {text:?} makes no sense"),
            &error,
            "Set it to ip:port, as in 127.0.0.1:9402.",
        )
    })?;
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Trouble::new(
            format!("metrics.listen {address} cannot be listened on"),
            &error,
            "Stop what else listens there, or choose another address.",
        )
    })?;
    tracing::info!(listen = %address, "metrics are answered");
    Ok(Some(async move {
        let shutdown = async move {
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        if let Err(error) = certmill_web::serve(listener, metrics_router(counters), shutdown).await {
            tracing::error!(%error, "the listener of the metrics ended");
        }
    }))
}
