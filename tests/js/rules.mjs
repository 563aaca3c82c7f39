// The small cores, as replay.mjs calls them; tests/kit/recorded.py has the same for Python.
export const rules = async (core) => {
  const { asked, first, heard } = await core('assigned');
  const { Repair } = await core('repair');
  const { begin } = await core('resuming');
  const place = (words) => words && { epoch: words[0], seq: words[1] };
  const words = (at) => (at ? [at.epoch, at.seq] : null);
  const answer = ([transport, version, reason]) => ({ transport, version, reason });
  return {
    repair: {
      make: ({ now }) => {
        const made = { drawn: 0 };
        made.repair = new Repair(now, () => made.drawn);
        return made;
      },
      calls: {
        demand: ({ repair }) => repair.demand(),
        decide: ({ repair }, [now, gapAt, pollEveryS]) => {
          const verdict = repair.decide(now, { gapAt, pollEveryS: Number(pollEveryS) });
          return 'until' in verdict ? ['wait', verdict.until] : ['probe', verdict.toTheEnd];
        },
        answered: (made, [now, toTheEnd, cameForward, behind, drawn]) => {
          made.drawn = drawn;
          made.repair.answered(now, toTheEnd, { cameForward, behind });
        },
        failed: (made, [now, behind, drawn]) => {
          made.drawn = drawn;
          made.repair.failed(now, behind);
        },
      },
      state: ({ repair }) => repair.owes,
    },
    assigned: {
      make: () => ({ held: null }),
      calls: {
        first: (m, said) => void (m.held = first(answer(said))),
        heard: (m, said) => void (m.held = heard(m.held, answer(said))),
        asked: (m, [transport, version, reason, pushed, away]) => void (m.held = asked(m.held, { transport, version, reason }, { pushed, away })),
      },
      state: ({ held }) => [held.transport, held.version, held.braked],
    },
    resuming: {
      make: () => null,
      calls: {
        begin: (_, [[epoch, head, tail, resume, reason], top, wanted, alone]) => {
          const todo = begin({ v: 2, epoch, head, tail, resume, reason }, { top: place(top), wanted: place(wanted), alone });
          return [words(todo.start), todo.loseTo ?? null, words(todo.goTo), todo.reason, todo.keep];
        },
      },
      state: () => null,
    },
  };
};
