//! Clients of the mock.

use super::ClientBuilder;
use crate::auth::{Credentials, SigningKey};
use crate::mock::MockService;

impl ClientBuilder {
    /// Configures the client for this mock: sets its URL and valid credentials, and adds its
    /// destination. Requires the feature `mock`.
    ///
    /// ```
    /// use pushslots::Client;
    /// use pushslots::mock::MockService;
    ///
    /// let service = MockService::start()?;
    /// let client = Client::builder().mock(&service).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn mock(self, service: &MockService) -> Self {
        let key = SigningKey::known(service.key_id(), service.private_key());
        self.base_url(service.url())
            .credentials(Credentials::signed_jwt(service.client_id(), key))
            .destination(service.destination())
    }
}
