//! The duration of an appointment.

use std::cmp::Ordering;
use std::fmt;
use std::num::NonZeroU64;

use chrono::TimeDelta;

/// A number of minutes, converted from a number or a [`TimeDelta`].
///
/// It can be any `f64`, as it was set or read. [Validation](crate::PushSlots::validate) reports a
/// duration that isn't finite and above 0.
///
/// An `Option<Minutes>` takes no more memory than a number.
///
/// ```
/// use pushslots::Minutes;
/// use pushslots::chrono::TimeDelta;
///
/// assert_eq!(Minutes::from(TimeDelta::seconds(90)).to_f64(), 1.5);
/// assert_eq!(Minutes::from(TimeDelta::hours(1).num_minutes()), Minutes::from(60.0));
/// ```
#[derive(Clone, Copy)]
pub struct Minutes(NonZeroU64);

impl Minutes {
    /// Stores the inverted bits. A NaN with all bits set would be stored as zero, so it becomes
    /// another NaN.
    fn new(minutes: f64) -> Self {
        Self(NonZeroU64::new(!minutes.to_bits()).unwrap_or(NonZeroU64::MIN))
    }

    /// Returns the number of minutes.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        f64::from_bits(!self.0.get())
    }
}

/// Shows the number.
impl fmt::Debug for Minutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_f64().fmt(f)
    }
}

/// Compares as numbers, so that NaN differs from itself.
impl PartialEq for Minutes {
    fn eq(&self, other: &Self) -> bool {
        self.to_f64() == other.to_f64()
    }
}

impl PartialOrd for Minutes {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.to_f64().partial_cmp(&other.to_f64())
    }
}

macro_rules! from {
    ($($number:ty)+) => {
        $(impl From<$number> for Minutes {
            fn from(minutes: $number) -> Self {
                Self::new(minutes.into())
            }
        })+
    };
}

from!(f64 f32 i8 i16 i32 u8 u16 u32);

macro_rules! from_wide {
    ($($number:ty)+) => {
        $(
            /// Rounds a number above 2<sup>53</sup>.
            impl From<$number> for Minutes {
                #[expect(clippy::cast_precision_loss, reason = "no appointment takes 10^10 years")]
                fn from(minutes: $number) -> Self {
                    Self::new(minutes as f64)
                }
            }
        )+
    };
}

from_wide!(i64 u64 usize);

impl From<TimeDelta> for Minutes {
    fn from(duration: TimeDelta) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "whole seconds of an appointment are few")]
        let seconds = duration.num_seconds() as f64;
        Self::new((seconds + f64::from(duration.subsec_nanos()) / 1e9) / 60.0)
    }
}
