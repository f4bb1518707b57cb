//! The tracing layer that prints.

use std::{
    cell::RefCell,
    io::Write,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use tracing::{
    Event, Level as TracingLevel, Metadata, Subscriber,
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::{
    Encoder, Level, Options, TimeEncoding,
    encode::{Fields, Line, line},
    sample::Sampler,
};

/// Upstream's logger names by the start of a target, longest match first.
const LOGGERS: [(&str, &str); 7] = [
    ("keda_operator::serve_metrics", "grpc_server"),
    ("keda_operator::poll", "scale_handler"),
    ("keda_operator::apply", "scaleexecutor"),
    ("keda_operator::reconcile", "controllers"),
    ("keda_adapter", "keda_metrics_adapter"),
    ("keda_tls", "certificates"),
    ("keda", "setup"),
];

thread_local! {
    static BUFFER: RefCell<String> = const { RefCell::new(String::new()) };
}

pub(crate) struct Zap<W> {
    encoder: Encoder,
    time: TimeEncoding,
    ours: LevelFilter,
    theirs: LevelFilter,
    sampler: Option<Sampler>,
    out: Mutex<W>,
}

/// A span's fields, kept in its extensions.
struct SpanFields(String);

impl<W: Write + 'static> Zap<W> {
    pub(crate) fn new(options: &Options, out: W) -> Self {
        let (ours, theirs) = match options.level() {
            Level::Panic => (LevelFilter::OFF, LevelFilter::OFF),
            Level::Error => (LevelFilter::ERROR, LevelFilter::ERROR),
            Level::Info => (LevelFilter::INFO, LevelFilter::WARN),
            Level::Verbosity(0 | 1) => (LevelFilter::DEBUG, LevelFilter::INFO),
            Level::Verbosity(2..=4) => (LevelFilter::TRACE, LevelFilter::DEBUG),
            Level::Verbosity(_) => (LevelFilter::TRACE, LevelFilter::TRACE),
        };
        let verbose = matches!(options.level(), Level::Verbosity(2..));
        let sampler = (!options.devel && !verbose).then(Sampler::new);
        Self { encoder: options.encoder(), time: options.time, ours, theirs, sampler, out: Mutex::new(out) }
    }

    fn shows(&self, metadata: &Metadata<'_>) -> bool {
        let limit = if metadata.target().starts_with("keda") { self.ours } else { self.theirs };
        *metadata.level() <= limit
    }
}

impl<S, W> Layer<S> for Zap<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Write + Send + 'static,
{
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.shows(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.shows(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.ours.max(self.theirs))
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !attributes.metadata().target().starts_with("keda") {
            return;
        }
        let mut fields = Fields::new(self.encoder);
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanFields(fields.text));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(kept) = span.extensions_mut().get_mut::<SpanFields>() {
            let mut fields = Fields::new(self.encoder);
            values.record(&mut fields);
            kept.0.push_str(&fields.text);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::new(self.encoder);
        event.record(&mut fields);
        let metadata = event.metadata();
        let level = name(*metadata.level());
        let time = Timestamp::now();
        if let Some(sampler) = &self.sampler
            && !sampler.admits(level, &fields.message, time.as_second())
        {
            return;
        }
        // Innermost span first: the closer a field was set, the sooner it is read.
        let spans: Vec<String> = context
            .event_scope(event)
            .into_iter()
            .flatten()
            .filter_map(|span| span.extensions().get::<SpanFields>().map(|kept| kept.0.clone()))
            .collect();
        let all: Vec<&str> =
            std::iter::once(fields.text.as_str()).chain(spans.iter().map(String::as_str)).collect();
        BUFFER.with_borrow_mut(|buffer| {
            buffer.clear();
            let logger = fields.logger.as_deref().unwrap_or_else(|| logger(metadata.target()));
            let record = Line { level, time, logger, message: &fields.message, fields: &all };
            line(buffer, self.encoder, self.time, &record);
            let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody is left to tell when stderr is gone.
            let _ = out.write_all(buffer.as_bytes());
        });
    }
}

fn name(level: TracingLevel) -> &'static str {
    match level {
        TracingLevel::ERROR => "error",
        TracingLevel::WARN => "warn",
        TracingLevel::INFO => "info",
        TracingLevel::DEBUG => "debug",
        // zap's spelling of verbosity 2.
        TracingLevel::TRACE => "Level(-2)",
    }
}

fn logger(target: &str) -> &str {
    LOGGERS
        .iter()
        .find(|(start, _)| {
            target.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        })
        .map_or(target, |(_, name)| name)
}
