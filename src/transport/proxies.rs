//! The proxies between the client and the service.

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{ClientBuilder, NoProxy, Proxy};
use url::{Host, Url};

use crate::message::Problem;
use crate::text::trimmed;

/// The hosts of this machine. Requests to them never use a proxy from the environment.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// The proxies of a client: the environment's, or one for all requests.
#[derive(Default)]
pub(crate) struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    /// The hosts that are reached without a proxy, in the format of `NO_PROXY`.
    exempt: String,
}

impl Proxies {
    /// Creates proxies that send all requests through `url`.
    pub(crate) fn all(url: Url) -> Self {
        Self { http: Some(url.clone()), https: Some(url), exempt: String::new() }
    }

    /// Reads the proxies for `addresses` from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and
    /// `NO_PROXY`.
    ///
    /// # Errors
    ///
    /// Returns a [`Problem`] for each variable that one of the addresses needs and that is invalid.
    pub(crate) fn from_env(addresses: &[&Url]) -> Result<Self, Vec<Problem>> {
        // In a CGI program, a request's header `Proxy` can set `HTTP_PROXY`.
        if std::env::var_os("REQUEST_METHOD").is_some() {
            return Ok(Self::default());
        }
        let exempt = variable(["NO_PROXY", "no_proxy"]).map(|(_, hosts)| hosts).unwrap_or_default();
        let mut proxies = Self { http: None, https: None, exempt: format!("{exempt},{LOOPBACK}") };
        let mut problems: Vec<Problem> = Vec::new();
        let mut addresses = addresses.to_vec();
        addresses.retain(|address| !proxies.exempts(address));
        for address in addresses {
            let (names, proxy) = match address.scheme() {
                "http" => (["HTTP_PROXY", "http_proxy"], &mut proxies.http),
                _ => (["HTTPS_PROXY", "https_proxy"], &mut proxies.https),
            };
            let Some((name, text)) =
                variable(names).or_else(|| variable(["ALL_PROXY", "all_proxy"]))
            else {
                continue;
            };
            let with_scheme = if text.contains("://") { text } else { format!("http://{text}") };
            match read(&with_scheme) {
                Ok(url) => *proxy = Some(url),
                Err(_) if problems.iter().any(|problem| problem.path() == name) => {}
                Err(why) => problems.push(Problem::new(name, why)),
            }
        }
        if problems.is_empty() { Ok(proxies) } else { Err(problems) }
    }

    /// Returns whether requests to this address are sent without a proxy.
    fn exempts(&self, address: &Url) -> bool {
        let any = Matcher::builder().all("http://proxy.invalid").no(&*self.exempt).build();
        !address.as_str().parse().is_ok_and(|address| any.intercept(&address).is_some())
    }

    /// Returns the proxy for `address`, without its user name and password.
    pub(super) fn on_the_way_to(&self, address: &Url) -> Option<String> {
        let proxy = if address.scheme() == "http" { &self.http } else { &self.https }.as_ref()?;
        let host = proxy.host_str()?;
        let port = proxy.port_or_known_default()?;
        (!self.exempts(address)).then(|| format!("{}://{host}:{port}", proxy.scheme()))
    }

    /// Returns whether a connection to a proxy needs TLS.
    pub(super) fn use_tls(&self) -> bool {
        [&self.http, &self.https].into_iter().flatten().any(|proxy| proxy.scheme() == "https")
    }

    /// Returns whether requests over plain http pass through a proxy on another machine.
    pub(crate) fn send_plain_http_away(&self) -> bool {
        self.http.as_ref().is_some_and(|proxy| !is_loopback(proxy))
    }

    /// Sets these proxies, and disables all others.
    pub(super) fn apply(&self, builder: ClientBuilder) -> reqwest::Result<ClientBuilder> {
        let mut builder = builder.no_proxy();
        let exempt = || NoProxy::from_string(&self.exempt);
        if let Some(proxy) = &self.http {
            builder = builder.proxy(Proxy::http(proxy.clone())?.no_proxy(exempt()));
        }
        if let Some(proxy) = &self.https {
            builder = builder.proxy(Proxy::https(proxy.clone())?.no_proxy(exempt()));
        }
        Ok(builder)
    }
}

/// Reads the URL of a proxy. The error doesn't repeat the text, because it may contain a password.
pub(crate) fn read(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        Ok(url) if url.scheme().starts_with("socks") => {
            Err("isn't a proxy URL with http or https: SOCKS proxies aren't supported".to_owned())
        }
        _ => Err("isn't a proxy URL with http or https, such as http://proxy.example.org:3128"
            .to_owned()),
    }
}

/// Returns the first of these variables that is set, unless it is empty.
fn variable(names: [&'static str; 2]) -> Option<(&'static str, String)> {
    // Text that isn't UTF-8 is converted lossily, and then isn't a URL either.
    let set = |name| Some((name, trimmed(&std::env::var_os(name)?.to_string_lossy()).to_owned()));
    names.into_iter().find_map(set).filter(|(_, text)| !text.is_empty())
}

/// Returns whether an address belongs to this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
