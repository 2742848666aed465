package sbanken

import (
	"container/list"
	"sync"
)

// pageKey is all that a page's bytes depend on.
type pageKey struct {
	account, revision, today int
	v1                       bool
	query                    query
}

// pages keeps rendered pages up to a number of bytes, the least recently used
// going first.
type pages struct {
	mu    sync.Mutex
	limit int
	size  int
	order *list.List // of *page, the newest in front
	byKey map[pageKey]*list.Element
}

type page struct {
	key  pageKey
	body []byte
}

func newPages(limit int) *pages {
	return &pages{limit: limit, order: list.New(), byKey: make(map[pageKey]*list.Element)}
}

func (c *pages) get(k pageKey) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byKey[k]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*page).body, true
}

func (c *pages) put(k pageKey, body []byte) {
	if len(body) > c.limit {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byKey[k]; ok {
		return
	}
	c.byKey[k] = c.order.PushFront(&page{k, body})
	c.size += len(body)
	for c.size > c.limit {
		oldest := c.order.Remove(c.order.Back()).(*page)
		delete(c.byKey, oldest.key)
		c.size -= len(oldest.body)
	}
}
