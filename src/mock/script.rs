//! The scripted responses.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::mock_response::MockResponse;

/// The endpoint of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Message,
    Token,
    Authenticate,
    Refresh,
    Other,
}

impl Endpoint {
    pub(super) const TOKEN_PATH: &'static str = "/v2/auth/token";

    pub(super) fn of(path: &str) -> Self {
        match path {
            "/endpoint" => Self::Message,
            Self::TOKEN_PATH => Self::Token,
            "/auth/authenticate" => Self::Authenticate,
            "/auth/refreshToken" => Self::Refresh,
            _ => Self::Other,
        }
    }

    pub(super) fn is_for_tokens(self) -> bool {
        matches!(self, Self::Token | Self::Authenticate | Self::Refresh)
    }
}

#[derive(Default)]
pub(super) struct Script {
    pub(super) messages: VecDeque<MockResponse>,
    pub(super) tokens: VecDeque<MockResponse>,
    down_until: Option<Instant>,
}

impl Script {
    pub(super) fn fail_for(&mut self, duration: Duration) {
        let now = Instant::now();
        // If the end is beyond the clock's range, a year is long enough.
        self.down_until = Some(
            now.checked_add(duration).unwrap_or(now + Duration::from_secs(365 * 24 * 60 * 60)),
        );
    }

    pub(super) fn is_down(&self) -> bool {
        self.down_until.is_some_and(|end| Instant::now() < end)
    }

    /// Takes the scripted response for a request to this endpoint.
    pub(super) fn take(&mut self, endpoint: Endpoint) -> Option<MockResponse> {
        if endpoint == Endpoint::Other {
            return None;
        }
        if self.is_down() {
            return Some(MockResponse::unavailable());
        }
        let queue =
            if endpoint == Endpoint::Message { &mut self.messages } else { &mut self.tokens };
        let response = queue.pop_front()?;
        if response.times > 1 {
            queue.push_front(response.clone().times(response.times - 1));
        }
        Some(response)
    }

    pub(super) fn pending(&self) -> usize {
        let times = |queue: &VecDeque<MockResponse>| {
            queue.iter().map(|response| response.times as usize).sum::<usize>()
        };
        times(&self.messages) + times(&self.tokens)
    }

    pub(super) fn add(queue: &mut VecDeque<MockResponse>, response: MockResponse) {
        if response.times > 0 {
            queue.push_back(response);
        }
    }
}
