package main

import (
	"io"
	"time"

	"github.com/rs/zerolog"

	"syncer/config"
)

// logger is the program's log on stderr: JSON for machines, console for a person before a terminal. level is the
// config's; the flag wins.
func (a *app) logger(level string) zerolog.Logger {
	if a.logLevel != "" {
		level = a.logLevel
	}
	at, err := zerolog.ParseLevel(level)
	if err != nil {
		at = zerolog.InfoLevel // config has refused anything else already
	}
	return zerolog.New(a.logWriter()).Level(at).With().Timestamp().Logger()
}

func (a *app) logWriter() io.Writer {
	format := a.logFormat
	if format == "" && isTerminal(a.err) {
		format = "console"
	}
	if format != "console" {
		return a.live
	}
	return zerolog.ConsoleWriter{Out: a.live, TimeFormat: time.TimeOnly, NoColor: !painter(a.err, a.env).on}
}

// quieter is the log of a command with a live line: the line tells what info would, so only what needs a person is
// left. Where there is no live line, or a level was asked for, it is the log as configured.
func (a *app) quieter(cfg *config.Config) zerolog.Logger {
	log := a.logger(cfg.Log.Level)
	if a.live.on && a.logLevel == "" {
		log = log.Level(max(log.GetLevel(), zerolog.WarnLevel))
	}
	return log
}
