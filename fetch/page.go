package fetch

// Count is how many records the page's answer holds, whether or not they had to be decoded this time.
func (p *Page) Count() int {
	if p.Unchanged {
		return p.Kept.Facts.Records
	}
	return p.Records.Len()
}

// Plain says that nothing about the page needs a second look when the same bytes come again: every record could be
// read, the provider left nothing out, and the page is no part of a set of several pages.
func (p *Page) Plain() bool {
	return len(p.Rejects) == 0 && p.Partial == "" && (p.Whole == nil || len(p.Whole.Earlier) == 0)
}
