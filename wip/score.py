import sys, asyncio, json
from pathlib import Path
from edit_grpo.reproduce.measuring import _score
from edit_grpo.data import read_edits
d=Path('runs/d/held/edits.jsonl')
for pics, judged in zip(sys.argv[1::2], sys.argv[2::2]):
    r=asyncio.run(_score(read_edits([d]), Path(pics), 'http://127.0.0.1:8100'))
    j=[json.loads(l) for l in open(judged)]
    ok=[(a[0],x['success'],x['utility']) for a,x in zip(r,j) if a[0] is not None]
    s=[a for a,b,c in ok if b]; f=[a for a,b,c in ok if not b]
    import numpy as np
    rank=lambda v: np.argsort(np.argsort(v)); spearmanr=lambda a,b: [np.corrcoef(rank(a),rank(b))[0,1]]
    agree={'follow':[0,0],'keep':[0,0],'quality':[0,0]}
    fooled={'follow':0,'keep':0,'quality':0}; denied=dict(fooled)
    for a,x in zip(r,j):
        if not a[2]: continue
        for c,o,m in zip(x['categories'],x['verdicts'],a[2]):
            agree[c][0]+=o==m; agree[c][1]+=1; fooled[c]+=m and not o; denied[c]+=o and not m
    print(pics,'n',len(ok),'reward',np.mean([a for a,_,_ in ok]).round(3),'success',np.mean([b for _,b,_ in ok]),'reward|succ',np.mean(s).round(3),'reward|fail',np.mean(f).round(3),'rho',spearmanr([a for a,_,_ in ok],[c for _,_,c in ok])[0].round(3),{c:round(v[0]/v[1],3) for c,v in agree.items()},'fooled',fooled,'denied',denied)
