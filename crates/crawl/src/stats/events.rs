//! What somebody should be told while a crawl is running.

use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Where to say it. Never used per request.
#[derive(Debug, Clone)]
pub(crate) struct EventSink(UnboundedSender<String>);

/// Where to hear it.
#[derive(Debug)]
pub(crate) struct Events(Mutex<UnboundedReceiver<String>>);

pub(crate) fn channel() -> (EventSink, Events) {
    let (sender, receiver) = unbounded_channel();
    (EventSink(sender), Events(Mutex::new(receiver)))
}

impl EventSink {
    /// Says one line.
    pub(crate) fn push(&self, line: String) {
        // Nobody has to listen.
        let _ = self.0.send(line);
    }
}

impl Events {
    /// The next line; waits for ever where none can come.
    pub(crate) async fn next(&self) -> String {
        match self.0.lock().await.recv().await {
            Some(line) => line,
            None => std::future::pending().await,
        }
    }
}
