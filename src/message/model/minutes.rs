//! The duration of an appointment.

use chrono::TimeDelta;

/// A number of minutes for [`Slot::new`](crate::Slot::new), converted from a number or a
/// [`TimeDelta`].
///
/// ```
/// use pushslots::Minutes;
/// use pushslots::chrono::TimeDelta;
///
/// assert_eq!(Minutes::from(TimeDelta::seconds(90)).to_f64(), 1.5);
/// assert_eq!(Minutes::from(TimeDelta::hours(1).num_minutes()), Minutes::from(60.0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Minutes(f64);

impl Minutes {
    /// Returns the number of minutes.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.0
    }
}

macro_rules! from {
    ($($number:ty)+) => {
        $(impl From<$number> for Minutes {
            fn from(minutes: $number) -> Self {
                Self(minutes.into())
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
                    Self(minutes as f64)
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
        Self((seconds + f64::from(duration.subsec_nanos()) / 1e9) / 60.0)
    }
}
