//! The location of an appointment.

use super::{List, Shared};
use crate::message::codec::record::{Rules, record};

record! {
    /// The location of an appointment: `Slots[].Location` in the reference.
    ///
    /// ```
    /// use pushslots::Location;
    ///
    /// let location = Location::new().kind("Clinic").facility("RES General Hospital").room("136");
    /// assert_eq!(location.room.as_deref(), Some("136"));
    /// ```
    pub struct Location {
        /// The type of location, such as `Clinic`, `Department` or `Phone`.
        "Type" => pub kind: Option<String>,
        /// The facility, such as `Community Hospital`.
        "Facility" => pub facility: Option<String>,
        /// The identifiers of the facility.
        "FacilityIdentifiers" => pub facility_identifiers: List<Identifier>,
        /// The department, such as `Cardiology`.
        "Department" => pub department: Option<String>,
        /// The identifiers of the department.
        "DepartmentIdentifiers" => pub department_identifiers: List<Identifier>,
        /// The room, such as `136`.
        "Room" => pub room: Option<String>,
    }
    one pass;
}

record! {
    /// An identifier and the system that it comes from.
    pub struct Identifier {
        /// The identifier.
        "ID" => pub id: Option<String>,
        /// The source or system of the identifier: an OID or a human-readable name.
        "IDType" => pub id_type: Option<String>,
    }
    one pass;
}

impl Location {
    /// Creates an empty location.
    #[must_use]
    pub fn new() -> Self {
        Self::blank()
    }

    /// Converts the location into a [`Shared`] record, which any number of slots can hold for one
    /// pointer each.
    #[must_use]
    pub fn share(self) -> Shared<Self> {
        self.into()
    }

    /// Sets the type of location, such as `Clinic`: `Type` in the reference.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Sets the facility, such as `Community Hospital`.
    #[must_use]
    pub fn facility(mut self, facility: impl Into<String>) -> Self {
        self.facility = Some(facility.into());
        self
    }

    /// Adds an identifier of the facility.
    #[must_use]
    pub fn facility_identifier(mut self, identifier: Identifier) -> Self {
        self.facility_identifiers.push(identifier);
        self
    }

    /// Sets the department, such as `Cardiology`.
    #[must_use]
    pub fn department(mut self, department: impl Into<String>) -> Self {
        self.department = Some(department.into());
        self
    }

    /// Adds an identifier of the department.
    #[must_use]
    pub fn department_identifier(mut self, identifier: Identifier) -> Self {
        self.department_identifiers.push(identifier);
        self
    }

    /// Sets the room, such as `136`.
    #[must_use]
    pub fn room(mut self, room: impl Into<String>) -> Self {
        self.room = Some(room.into());
        self
    }
}

impl Default for Location {
    fn default() -> Self {
        Self::new()
    }
}

impl Identifier {
    /// Creates the identifier `id` in the system `id_type`.
    #[must_use]
    pub fn new(id: impl Into<String>, id_type: impl Into<String>) -> Self {
        Self { id: Some(id.into()), id_type: Some(id_type.into()), ..Self::blank() }
    }
}

impl Rules for Location {}

impl Rules for Identifier {}
