package app

import (
	"context"
	"maps"
	"slices"
	"time"

	"syncer/persist/read"
	"syncer/report"
)

// dayQuotas are those of the configured connections. Where a process runs that names a lower number, that holds. The
// day's end is taken from the configuration where nobody has called since the last one; where that does not
// tell it, only days that are counted are shown.
func (inst *Installation) dayQuotas(ctx context.Context) ([]report.DayQuota, error) {
	list := []report.DayQuota{}
	counted, err := inst.Store.Read.DayCalls(ctx)
	if err != nil {
		return list, err
	}
	named, err := inst.Store.Read.NamedQuotas(ctx)
	if err != nil {
		return list, err
	}
	now := time.Now()
	for _, name := range slices.Sorted(maps.Keys(inst.Config.Connections)) {
		quota, unread := inst.quota(name)
		told := unread == nil && quota.PerDay > 0
		elsewhere := named[name] > 0 && (quota.PerDay == 0 || named[name] < quota.PerDay)
		if elsewhere {
			quota.PerDay = named[name]
		}
		if quota.PerDay == 0 {
			continue
		}
		others := func(d read.DayCalls) bool { return d.Connection != name }
		days := slices.DeleteFunc(slices.Clone(counted), others)
		if len(days) == 0 {
			days = append(days, read.DayCalls{Bucket: name, Connection: name})
		}
		for _, day := range days {
			if told || !day.Ends.IsZero() {
				list = append(list, report.DayQuotaOf(quota, day, now, elsewhere))
			}
		}
	}
	return list, nil
}
