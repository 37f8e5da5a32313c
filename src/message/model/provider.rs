//! The provider of an appointment.

use super::{List, Shared};
use crate::message::ProblemCode;
use crate::message::codec::path::Path;
use crate::message::codec::problems::Problems;
use crate::message::codec::record::{Rules, record};

record! {
    /// The provider of an appointment: `Slots[].Provider` in the reference.
    ///
    /// ```
    /// use pushslots::{Address, Provider};
    ///
    /// let provider = Provider::new()
    ///     .id("4356789876", "NPI")
    ///     .name("Pat", "Granite")
    ///     .credential("MD")
    ///     .address(Address::new().city("Madison").state("WI"))
    ///     .office_phone("+16085551234");
    /// assert_eq!(provider.last_name.as_deref(), Some("Granite"));
    /// ```
    pub struct Provider {
        /// The ID of the provider.
        "ID" => pub id: Option<String>,
        /// The type of ID, such as `NPI`.
        "IDType" => pub id_type: Option<String>,
        /// The first name.
        "FirstName" => pub first_name: Option<String>,
        /// The last name.
        "LastName" => pub last_name: Option<String>,
        /// The credentials, such as `MD` or `PhD`.
        "Credentials" => pub credentials: List<String>,
        /// The postal address.
        "Address" => pub address: Option<Address>,
        /// The email addresses.
        "EmailAddresses" => pub email_addresses: List<String>,
        /// The telephone numbers.
        "PhoneNumber" => pub phone_number: Option<PhoneNumber>,
    }
    one pass;
}

record! {
    /// A provider's postal address: `Slots[].Provider.Address` in the reference.
    pub struct Address {
        /// The street and number.
        "StreetAddress" => pub street_address: Option<String>,
        /// The city.
        "City" => pub city: Option<String>,
        /// The state, such as `WI`.
        "State" => pub state: Option<String>,
        /// The ZIP code.
        "ZIP" => pub zip: Option<String>,
        /// The county.
        "County" => pub county: Option<String>,
        /// The country, such as `USA`.
        "Country" => pub country: Option<String>,
    }
    one pass;
}

record! {
    /// A provider's telephone numbers: `Slots[].Provider.PhoneNumber` in the reference.
    pub struct PhoneNumber {
        /// The office number in ITU-T E.164 form, such as `+16085551234`.
        "Office" => pub office: Option<String>,
    }
    one pass;
}

impl Provider {
    /// Creates an empty provider.
    #[must_use]
    pub fn new() -> Self {
        Self::blank()
    }

    /// Converts the provider into a [`Shared`] record, which any number of slots can hold for one
    /// pointer each.
    #[must_use]
    pub fn share(self) -> Shared<Self> {
        self.into()
    }

    /// Sets the ID and its type, such as `NPI`.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>, id_type: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self.id_type = Some(id_type.into());
        self
    }

    /// Sets the first and last name.
    #[must_use]
    pub fn name(mut self, first: impl Into<String>, last: impl Into<String>) -> Self {
        self.first_name = Some(first.into());
        self.last_name = Some(last.into());
        self
    }

    /// Adds a credential, such as `MD`.
    #[must_use]
    pub fn credential(mut self, credential: impl Into<String>) -> Self {
        self.credentials.push(credential.into());
        self
    }

    /// Sets the postal address.
    #[must_use]
    pub fn address(mut self, address: Address) -> Self {
        self.address = Some(address);
        self
    }

    /// Adds an email address.
    #[must_use]
    pub fn email_address(mut self, email_address: impl Into<String>) -> Self {
        self.email_addresses.push(email_address.into());
        self
    }

    /// Sets the office number in ITU-T E.164 form, such as `+16085551234`.
    ///
    /// The number is validated when the message is built.
    #[must_use]
    pub fn office_phone(mut self, number: impl Into<String>) -> Self {
        let numbers = self.phone_number.get_or_insert_with(PhoneNumber::blank);
        numbers.office = Some(number.into());
        self
    }
}

impl Default for Provider {
    fn default() -> Self {
        Self::new()
    }
}

impl Address {
    /// Creates an empty address.
    #[must_use]
    pub fn new() -> Self {
        Self::blank()
    }

    /// Sets the street and number.
    #[must_use]
    pub fn street_address(mut self, street_address: impl Into<String>) -> Self {
        self.street_address = Some(street_address.into());
        self
    }

    /// Sets the city.
    #[must_use]
    pub fn city(mut self, city: impl Into<String>) -> Self {
        self.city = Some(city.into());
        self
    }

    /// Sets the state, such as `WI`.
    #[must_use]
    pub fn state(mut self, state: impl Into<String>) -> Self {
        self.state = Some(state.into());
        self
    }

    /// Sets the ZIP code.
    #[must_use]
    pub fn zip(mut self, zip: impl Into<String>) -> Self {
        self.zip = Some(zip.into());
        self
    }

    /// Sets the county.
    #[must_use]
    pub fn county(mut self, county: impl Into<String>) -> Self {
        self.county = Some(county.into());
        self
    }

    /// Sets the country, such as `USA`.
    #[must_use]
    pub fn country(mut self, country: impl Into<String>) -> Self {
        self.country = Some(country.into());
        self
    }
}

impl Default for Address {
    fn default() -> Self {
        Self::new()
    }
}

impl PhoneNumber {
    /// Creates a record with the office number in ITU-T E.164 form, such as `+16085551234`.
    ///
    /// The number is validated when the message is built.
    #[must_use]
    pub fn new(office: impl Into<String>) -> Self {
        Self { office: Some(office.into()), ..Self::blank() }
    }
}

impl Rules for Provider {}

impl Rules for Address {}

impl Rules for PhoneNumber {
    fn restore(&mut self) {
        // A blank string counts as absent.
        self.office.take_if(|number| number.trim().is_empty());
    }

    fn drop_invalid(&mut self) {
        self.office.take_if(|number| !is_e164(number));
    }

    fn rules(&self, at: Path<'_>, problems: &mut Problems) {
        if self.office.as_deref().is_some_and(|number| !is_e164(number)) {
            let form =
                "not in E.164 form: write `+`, the country code and the number, up to 15 digits";
            problems.add(at.key("Office"), ProblemCode::NotE164, form);
        }
    }
}

/// Returns whether `number` is in E.164 form (ITU-T E.164, section 6). The form is `+` and 2 to 15
/// digits that don't start with 0.
fn is_e164(number: &str) -> bool {
    let Some(digits) = number.strip_prefix('+') else {
        return false;
    };
    (2..=15).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|b| b.is_ascii_digit())
}
