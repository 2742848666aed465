package finance

import (
	"cmp"
	"time"
)

// Version is what a provider tells of the order of two states of one thing: a number, or an instant. The
// highest is the newest. The zero Version says that nothing is told, which is another thing than number 0.
type Version struct {
	Told  bool
	Whole int64 // the number, or the seconds of the instant since 1970
	Nanos int   // the nanoseconds behind these
}

// VersionNumber is a version that is told by a whole number.
func VersionNumber(n int64) Version { return Version{Told: true, Whole: n} }

// VersionAt is a version that is told by an instant. The zero time tells nothing.
func VersionAt(at time.Time) Version {
	if at.IsZero() {
		return Version{}
	}
	return Version{Told: true, Whole: at.Unix(), Nanos: at.Nanosecond()}
}

// Compare is positive where v is the newer. What is told counts as newer than what is not.
func (v Version) Compare(other Version) int {
	if v.Told != other.Told {
		if v.Told {
			return 1
		}
		return -1
	}
	return cmp.Or(cmp.Compare(v.Whole, other.Whole), cmp.Compare(v.Nanos, other.Nanos))
}
