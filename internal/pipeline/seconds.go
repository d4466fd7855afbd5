package pipeline

import (
	"encoding/json"
	"math"
	"time"

	"refline/internal/errs"
)

// Duration is a time.Duration that is written as seconds wherever it is stored or
// sent: 90, 0.5. All durations of this program are.
type Duration time.Duration

// D gives the duration to Go's own functions.
func (d Duration) D() time.Duration { return time.Duration(d) }

func (d Duration) String() string { return d.D().String() }

// Seconds gives the duration as a number.
func (d Duration) Seconds() float64 { return d.D().Seconds() }

// MarshalJSON writes seconds.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.Seconds()) }

// UnmarshalJSON reads seconds.
func (d *Duration) UnmarshalJSON(text []byte) error {
	var seconds float64
	if err := json.Unmarshal(text, &seconds); err != nil {
		return errs.E(errs.Invalid, "a duration is a number of seconds, not %s", text)
	}
	if math.Abs(seconds) > math.MaxInt64/float64(time.Second) {
		return errs.E(errs.Invalid, "a duration of %s seconds is too long", text)
	}
	*d = Duration(math.Round(seconds * float64(time.Second)))
	return nil
}
