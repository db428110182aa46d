// Written by `bailiwick hook opencode --write`, which replaces this file; put changes of yours into another plugin.
import { spawn } from "node:child_process"

const COMMAND = ["bailiwick", "hook", "opencode"]
const PATIENCE_MS = 3000

// Tells Bailiwick what happens; resolves to what waits for the agent. Empty on any trouble: nothing holds OpenCode up.
function tell(payload) {
  return new Promise((resolve) => {
    let said = ""
    let timer
    const done = () => {
      clearTimeout(timer)
      try {
        resolve(String(JSON.parse(said).hookSpecificOutput.additionalContext ?? ""))
      } catch {
        resolve("")
      }
    }
    try {
      const child = spawn(COMMAND[0], COMMAND.slice(1), { stdio: ["pipe", "pipe", "ignore"] })
      timer = setTimeout(() => child.kill(), PATIENCE_MS)
      timer.unref?.()
      child.on("error", done)
      child.on("close", done)
      child.stdout.on("data", (piece) => (said += piece))
      child.stdin.on("error", () => {})
      child.stdin.end(JSON.stringify(payload))
    } catch {
      done()
    }
  })
}

function newPartID() {
  const moment = (BigInt(Date.now()) * 0x1000n + 0xfffn).toString(16).slice(-12).padStart(12, "0")
  const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
  return `prt_${moment}${Array.from({ length: 14 }, () => letters[Math.floor(Math.random() * 62)]).join("")}`
}

export const BailiwickPlugin = async ({ directory, worktree }) => {
  const project = worktree && worktree !== "/" ? worktree : directory
  const open = new Set()
  const children = new Set()
  const inputs = new Map()

  const send = (event, sessionID, more = {}) =>
    tell({ hook_event_name: event, session_id: sessionID, cwd: directory, project, ...more })

  return {
    event: async ({ event }) => {
      const { info, sessionID } = event.properties ?? {}
      switch (event.type) {
        case "session.created":
          open.add(info.id)
          if (info.parentID) children.add(info.id)
          await send("SessionStart", info.id, { context: false })
          break
        case "session.idle":
          await send("Stop", sessionID)
          break
        case "session.error":
          if (sessionID) await send("StopFailure", sessionID)
          break
        case "session.deleted":
          open.delete(info.id)
          await send("SessionEnd", info.id)
          break
      }
    },
    "chat.message": async (input, output) => {
      open.add(input.sessionID)
      const context = await send("UserPromptSubmit", input.sessionID, { context: !children.has(input.sessionID) })
      if (!context) return
      const { id: messageID } = output.message
      output.parts.push({
        id: newPartID(),
        sessionID: input.sessionID,
        messageID,
        type: "text",
        text: context,
        synthetic: true,
      })
    },
    "tool.execute.before": async (input, output) => {
      inputs.set(input.callID, output.args)
      send("PreToolUse", input.sessionID, { tool_name: input.tool, tool_use_id: input.callID, tool_input: output.args })
    },
    "tool.execute.after": async (input, output) => {
      const tool_input = input.args ?? inputs.get(input.callID)
      inputs.delete(input.callID)
      const canHear = typeof output?.output === "string" && !children.has(input.sessionID)
      const context = await send("PostToolUse", input.sessionID, {
        tool_name: input.tool,
        tool_use_id: input.callID,
        tool_input,
        tool_response: output,
        context: canHear,
      })
      if (context) output.output += `\n\n${context}`
    },
    dispose: async () => {
      await Promise.all([...open].map((sessionID) => send("SessionEnd", sessionID)))
    },
  }
}
