package expr

import (
	"strings"
)

// agentFunctions read what the common browsers and systems say of themselves in a user agent text. What they do not know is
// Unknown, or ?? for a version.
func agentFunctions() []Function {
	of := func(name string, fn func(a agent) string) Function {
		return Function{Name: name, Args: "t", gives: gives(String), eval: func(c *cells) { c.setText([]byte(fn(parseAgent(string(c.text(0)))))) }}
	}
	return []Function{
		of("ua_os_name", func(a agent) string { return a.os }),
		of("ua_os_version", func(a agent) string { return a.osVersion }),
		of("ua_os_version_major", func(a agent) string { return a.os + " " + major(a.osVersion) }),
		of("ua_os_name_version", func(a agent) string { return a.os + " " + a.osVersion }),
		of("ua_agent_name", func(a agent) string { return a.name }),
		of("ua_agent_version", func(a agent) string { return a.version }),
		of("ua_agent_version_major", func(a agent) string { return a.name + " " + major(a.version) }),
		of("ua_device_class", func(a agent) string { return a.device }),
	}
}

// agent is what a user agent text tells.
type agent struct{ os, osVersion, name, version, device string }

// agentMark is a word that gives a browser or a system away; its version stands behind the mark at.
type agentMark struct{ word, name, at string }

// browsers stand in the order in which they are looked for: most say that they are one of those behind them too.
func browsers() []agentMark {
	return []agentMark{{"Edg/", "Edge", "Edg/"}, {"EdgA/", "Edge", "EdgA/"}, {"EdgiOS/", "Edge", "EdgiOS/"}, {"Edge/", "Edge", "Edge/"}, {"OPR/", "Opera", "OPR/"}, {"Opera", "Opera", "Version/"},
		{"SamsungBrowser/", "Samsung Internet", "SamsungBrowser/"}, {"YaBrowser/", "Yandex Browser", "YaBrowser/"}, {"FxiOS/", "Firefox", "FxiOS/"}, {"Firefox/", "Firefox", "Firefox/"},
		{"CriOS/", "Chrome", "CriOS/"}, {"Chrome/", "Chrome", "Chrome/"}, {"MSIE ", "Internet Explorer", "MSIE "}, {"Trident/", "Internet Explorer", "rv:"},
		{"Android", "Android Browser", "Version/"}, {"Safari/", "Safari", "Version/"}, {"curl/", "curl", "curl/"}, {"Googlebot/", "Googlebot", "Googlebot/"}, {"bingbot/", "bingbot", "bingbot/"}}
}

func systems() []agentMark {
	return []agentMark{{"Windows Phone", "Windows Phone", "Windows Phone "}, {"Windows NT", "Windows NT", "Windows NT "}, {"iPhone", "iOS", "OS "}, {"iPad", "iOS", "OS "}, {"iPod", "iOS", "OS "},
		{"Android", "Android", "Android "}, {"CrOS", "Chrome OS", "CrOS x86_64 "}, {"Mac OS X", "Mac OS X", "Mac OS X "}, {"Ubuntu", "Ubuntu", "Ubuntu/"}, {"Linux", "Linux", "\x00"}}
}

func parseAgent(s string) agent {
	a := agent{"Unknown", "??", "Unknown", "??", "Unknown"}
	a.os, a.osVersion = mark(s, systems(), a.os)
	a.name, a.version = mark(s, browsers(), a.name)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(s, w) {
				return true
			}
		}
		return false
	}
	switch {
	case has("bot/", "bot;", "Bot/", "spider", "crawler", "Slurp"):
		a.device = "Robot"
	case has("iPad", "Tablet", "PlayBook", "Kindle") || has("Android") && !has("Mobile"):
		a.device = "Tablet"
	case has("iPhone", "iPod", "Windows Phone", "Mobile"):
		a.device = "Phone"
	case has("SmartTV", "SMART-TV", "AppleTV", "GoogleTV", "HbbTV"):
		a.device = "TV"
	case a.os != "Unknown":
		a.device = "Desktop"
	}
	return a
}

func mark(s string, marks []agentMark, other string) (name, version string) {
	for _, m := range marks {
		if !strings.Contains(s, m.word) {
			continue
		}
		_, rest, found := strings.Cut(s, m.at)
		n := 0
		for found && n < len(rest) && strings.IndexByte("0123456789._", rest[n]) >= 0 {
			n++
		}
		if version = strings.Trim(strings.ReplaceAll(rest[:n], "_", "."), "."); !found || version == "" {
			version = "??"
		}
		return m.name, version
	}
	return other, "??"
}

func major(version string) string {
	first, _, _ := strings.Cut(version, ".")
	return first
}
